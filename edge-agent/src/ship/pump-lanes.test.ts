/**
 * Two lanes and one log: after an outage the newest messages are shipped first. That every message is in one shipment of one
 * lane, wherever the agent is killed, is for `test/simulation.test.ts`.
 */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock, type Clock } from '@varve/common/clock.js';
import { silentLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import type { ShipmentMetadata } from '@varve/common/contract/shipment.js';
import type { BatchColumns } from '../batch/table-batch.js';
import { Router } from '../decode/router.js';
import { parseTopicTemplate } from '../decode/topic-template.js';
import { BlockBuilder } from '../log/block.js';
import type { EdgeLog } from '../log/edge-log.js';
import { Aggregation } from '../aggregate/aggregation.js';
import { noReduction, Reduction } from '../reduce/reduction.js';
import type { Loss } from '../log/loss.js';
import { SqliteLog } from '../log/sqlite-log.js';
import { createEdgeMetrics } from '../metrics.js';
import { Outbox, planUploads } from './outbox.js';
import { Pump } from './pump.js';

const topic = parseTopicTemplate('plant/{device}');
assert(typeof topic !== 'string');
const stream = {
  name: 'environment',
  database: 'main',
  topic,
  format: 'json' as const,
  time: undefined,
  fields: undefined,
  priority: 0,
  raw: 'ship' as const,
  aggregates: [],
};
const old = { arrivedMs: 1_000 };

class Killed extends Error {}

interface Shipped {
  readonly lane: string;
  readonly values: readonly number[];
}

interface Round {
  readonly isStoreThere: boolean;
  readonly everyMs?: number;
  readonly isBack?: boolean;
  /** Absent: the pump is stopped when it waits. */
  readonly clock?: Clock;
}

/** An agent's log, pump and outbox, which can be started again on the same folder. */
class Gateway {
  readonly directory = mkdtempSync(join(tmpdir(), 'varve-lanes-'));
  /** What the store has, in order of arrival. */
  readonly store: Shipped[] = [];
  readonly #files = new Map<string, Shipped>();
  #nextValue = 0;
  #log = this.#openLog();

  get log(): SqliteLog {
    return this.#log;
  }

  receive(count: number, { arrivedMs }: { readonly arrivedMs: number }): void {
    const block = new BlockBuilder();
    for (let index = 0; index < count; index++) {
      const payload = Buffer.from(`{"a":${this.#nextValue++}}`);
      block.add({ topic: 'plant/press', payload, arrivedMs, packetId: 0 });
    }
    this.#log.append([{ source: 'plant', messageCount: count, bytes: block.finish() }]);
  }

  /** One life: pumps, and uploads where the store is there, until nothing is left to do or it is killed. */
  async live({ isStoreThere, everyMs = 0, clock, isBack }: Round): Promise<void> {
    try {
      const outbox = await Outbox.open(this.directory, this.#edgeLog(), 1e9);
      let stop = new AbortController();
      const pump = new Pump({
        ...{
          agent: 'press',
          log: this.#edgeLog(),
          outbox,
          router: new Router([stream]),
          reduction: new Reduction({ streams: [], opened: noReduction }),
          aggregation: new Aggregation({
            ...{ streams: [stream], opened: this.#log.state().aggregates, openBytesMax: 1e6 },
          }),
          onStaged: () => undefined,
          mayStage: () => true,
          onDiskFull: () => undefined,
        },
        encoder: { encode: (columns, metadata, path) => this.#encode(columns, metadata, path) },
        policy: { everyMs, rowsMax: 10, bytesMax: 1e6, logBytesMax: 1e9, liveFirst: true },
        // The pump waits when it has nothing to do, or no room.
        clock: clock ?? { ...systemClock, sleep: async () => Promise.resolve().then(() => stop.abort()) },
        ...{ logger: silentLogger(), metrics: createEdgeMetrics(createRegistry(() => 0)) },
      });
      if (isBack) pump.noteStoreBack();
      do {
        stop = new AbortController();
        await pump.run(stop.signal);
      } while (isStoreThere && (await this.#upload(outbox)));
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    } finally {
      this.#log.close();
      this.#log = this.#openLog();
    }
  }

  close(): void {
    this.#log.close();
    rmSync(this.directory, { recursive: true });
  }

  #openLog(): SqliteLog {
    const path = join(this.directory, 'edge.sqlite');
    return new SqliteLog({ path, agent: 'press', newEpoch: '20261122t000000z-1' });
  }

  /** False when there was nothing. */
  async #upload(outbox: Outbox): Promise<boolean> {
    const [entry] = planUploads(outbox.entries, 1);
    if (!entry) return false;
    const shipped = this.#files.get(entry.file);
    assert(shipped);
    this.store.push(shipped);
    await outbox.confirm(entry);
    return true;
  }

  #encode(columns: BatchColumns, { lane }: ShipmentMetadata, path: string): Promise<number> {
    writeFileSync(path, 'x');
    const values = [...(columns.fields[0]?.values ?? [])];
    this.#files.set(path.slice(path.lastIndexOf('/') + 1), { lane, values });
    return Promise.resolve(1);
  }

  /** The log as the agent sees it: its answers take a while. */
  #edgeLog(): Pick<EdgeLog, 'opened' | 'read' | 'sizes' | 'stage' | 'confirm' | 'replace' | 'waitingLosses'> {
    const later =
      <Args extends unknown[], Result>(work: (...args: Args) => Result) =>
      async (...args: Args): Promise<Result> => {
        await Promise.resolve();
        return work(...args);
      };
    return {
      opened: this.#log.state(),
      // Block by block, so that a log has many windows.
      read: later((fromSeq: number) => this.#log.read(fromSeq, 1)),
      sizes: later((seq: number) => this.#log.sizes(seq)),
      waitingLosses: later(() => this.#log.waitingLosses()),
      stage: later((request: Parameters<EdgeLog['stage']>[0]) => this.#log.stage(request)),
      confirm: later((id: number) => this.#log.confirm(id)),
      replace: later((entry: Parameters<EdgeLog['replace']>[0]) => this.#log.replace(entry)),
    };
  }
}

const now = () => ({ arrivedMs: systemClock.nowMs() });
const valuesOf = (store: readonly Shipped[], wanted: string) =>
  store.filter(({ lane }) => lane === wanted).flatMap(({ values }) => values);

test('after an outage the newest data goes first, and the backlog follows in its lane', async () => {
  const gateway = new Gateway();
  for (let index = 0; index < 5; index++) gateway.receive(10, old);
  gateway.receive(3, now());
  await gateway.live({ isStoreThere: false });
  gateway.receive(2, now());
  await gateway.live({ isStoreThere: true });
  assert.deepEqual(gateway.store[0], { lane: 'live', values: [53, 54] });
  const before = Array.from({ length: 53 }, (_, index) => index);
  assert.deepEqual(valuesOf(gateway.store, 'backlog'), before);
  assert.deepEqual(gateway.log.state().backlog, []);
  gateway.close();
});

test('when the store is back, a window that is not full is no reason for new data to wait', async () => {
  const gateway = new Gateway();
  const agoMs = (ms: number) => ({ arrivedMs: systemClock.nowMs() - ms });
  gateway.receive(3, agoMs(30_000));
  gateway.receive(2, agoMs(0));
  await gateway.live({ isStoreThere: true, isBack: true });
  assert.deepEqual(gateway.store, [{ lane: 'backlog', values: [0, 1, 2, 3, 4] }]);
  gateway.receive(2, agoMs(30_000));
  await gateway.live({ isStoreThere: true });
  assert.deepEqual(gateway.store[1], { lane: 'live', values: [5, 6] }, 'no outage, no jump');
  gateway.close();
});

test('blocks stay until the backlog that is made of them is in the store', () => {
  const gateway = new Gateway();
  gateway.receive(10, old);
  gateway.log.stage({
    shipments: [],
    deadLetters: [],
    nowMs: 0,
    nextSeq: 11,
    backlog: [{ firstSeq: 1, endSeq: 11 }],
  });
  gateway.log.stage({ shipments: [], deadLetters: [], nowMs: 0, nextSeq: 11 });
  assert.deepEqual(gateway.log.state().backlog, [{ firstSeq: 1, endSeq: 11 }], 'as before');
  gateway.receive(30_000, old);
  gateway.log.stage({ shipments: [], deadLetters: [], nowMs: 0, nextSeq: 30_011 });
  gateway.log.confirm(0);
  assert.equal(gateway.log.sizes(0).oldestSeq, 1);
  gateway.log.stage({ shipments: [], deadLetters: [], nowMs: 0, nextSeq: 30_011, backlog: [] });
  gateway.log.confirm(0);
  assert.equal(gateway.log.sizes(0).oldestSeq, 11);
  gateway.close();
});

test('an outage with rows of the ledger to ship leaves the pump in peace', { timeout: 10_000 }, async () => {
  const gateway = new Gateway();
  for (let count = 0; count < 6; count++) {
    gateway.receive(3, old);
    await gateway.live({ isStoreThere: false });
  }
  const range = { firstSeq: 1, lastSeq: 1, firstMs: null, lastMs: null };
  const loss: Loss = {
    ...range,
    whenMs: 1,
    kind: 'evicted',
    stream: null,
    count: 1,
    bytes: 1,
    reason: 'planted',
  };
  gateway.log.evict({ blocks: [], losses: [loss] });
  await gateway.live({ isStoreThere: false });
  await gateway.live({ isStoreThere: true });
  assert.equal(gateway.log.state().waitingLosses, 0);
  gateway.close();
});

test('a window that becomes due between two looks at the clock is not left waiting', async () => {
  for (let everyMs = 1; everyMs < 12; everyMs++) {
    const gateway = new Gateway();
    gateway.receive(5, now());
    let tickMs = 0;
    const sleeps: number[] = [];
    // Every look takes a millisecond. An empty pump waits for ever: that ends this life.
    const sleep = (ms: number): Promise<void> => {
      if (ms > 1e9) throw new Killed();
      sleeps.push(ms);
      tickMs += ms;
      return Promise.resolve();
    };
    await gateway.live({
      isStoreThere: false,
      everyMs,
      clock: { ...systemClock, monotonicMs: () => tickMs++, sleep },
    });
    assert.equal(gateway.log.state().nextSeq, 6, 'staged');
    assert(Math.max(0, ...sleeps) <= everyMs, `every ${everyMs}: slept ${sleeps.join()}`);
    gateway.close();
  }
});
