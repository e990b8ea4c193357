/**
 * A shipper with an outbox on the disk and an S3 server that answers as planted. For tests.
 */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { systemClock, type Clock } from '@varve/common/clock.js';
import { silentLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import { startPlantedS3Server, type PlantedS3Server } from '@varve/common/store/planted-s3-server.js';
import { S3Store } from '@varve/common/store/s3-store.js';
import type { LogState, OutboxEntry } from '../log/edge-log.js';
import { createEdgeMetrics } from '../metrics.js';
import { Outbox } from './outbox.js';
import { Shipper, type ShipperOptions, type ShipperState } from './shipper.js';

const epoch = '20261122t000000z-1';

export function outboxEntry(id: number, table: string, seq: number, lane = 'live'): OutboxEntry {
  return {
    ...{ id, lane, database: 'main', table, seq, file: `${id}.parquet`, rowCount: 1, bytes: 0 },
    ...{ firstLogSeq: 1, lastLogSeq: 1, stagedMs: 0 },
  };
}

export interface ShippingOptions {
  readonly entries: readonly OutboxEntry[];
  /** Of every shipment. */
  readonly bytes?: number;
  readonly shipper?: Partial<ShipperOptions>;
}

export interface Pause {
  readonly ms: number;
  readonly problem: ShipperState['problem'];
}

export class Shipping {
  readonly server: PlantedS3Server;
  readonly shipper: Shipper;
  readonly outbox: Outbox;
  readonly entries: readonly OutboxEntry[];
  /** Ids, in the order of confirming. */
  readonly confirmed: number[];
  /** What the shipper slept, with what was wrong then. It takes no time, and for the shipper nothing else does. */
  readonly pauses: readonly Pause[];
  /** Called at every pause. */
  onPause: () => void = () => undefined;

  private constructor(
    parts: Pick<Shipping, 'server' | 'outbox' | 'entries' | 'confirmed'>,
    options: ShippingOptions,
  ) {
    this.server = parts.server;
    this.outbox = parts.outbox;
    this.entries = parts.entries;
    this.confirmed = parts.confirmed;
    const pauses: Pause[] = [];
    this.pauses = pauses;
    let sleptMs = 0;
    const clock: Clock = {
      ...systemClock,
      monotonicMs: () => sleptMs,
      sleep: async (ms, signal) => {
        if (ms > 1e9) {
          await systemClock.sleep(ms, signal);
          return;
        }
        sleptMs += ms;
        pauses.push({ ms, problem: this.shipper.state().problem });
        this.onPause();
        await systemClock.sleep(1);
      },
    };
    const storeClock: Clock = { ...systemClock, sleep: (_, signal) => this.#passDeadline(signal) };
    const { endpoint } = this.server;
    this.shipper = new Shipper({
      ...{ agent: 'press', epoch, outbox: this.outbox, clock, random: () => 0.5, logger: silentLogger() },
      ...{ schedule: undefined, bytesPerSecondMax: undefined },
      metrics: createEdgeMetrics(createRegistry(() => 0)),
      isLogDrained: () => true,
      remake: () => assert.fail('no file is damaged'),
      openStore: () =>
        Promise.resolve(
          S3Store.open({ url: 's3://bucket/lake', endpoint, pathStyle: true }, { clock: storeClock }),
        ),
      onConfirmed: () => undefined,
      onReachable: () => undefined,
      ...options.shipper,
    });
  }

  static async start(context: TestContext, options: ShippingOptions): Promise<Shipping> {
    const directory = mkdtempSync(join(tmpdir(), 'varve-ship-'));
    const server = await startPlantedS3Server();
    const entries = options.entries.map((entry) => ({ ...entry, bytes: options.bytes ?? 100 }));
    const confirmed: number[] = [];
    const outbox = await Outbox.open(
      directory,
      {
        opened: { outbox: entries } as unknown as LogState,
        replace: () => Promise.resolve(),
        confirm: (id) => Promise.resolve(void confirmed.push(id)),
      },
      1e9,
    );
    for (const { file, id, bytes } of entries) writeFileSync(outbox.pathOf(file), Buffer.alloc(bytes, id));
    const shipping = new Shipping({ server, outbox, entries, confirmed }, options);
    context.after(() => {
      server.close();
      rmSync(directory, { recursive: true });
    });
    return shipping;
  }

  /** Deadlines pass when the server has met a request with silence, however slow the machine is. */
  async #passDeadline(signal: AbortSignal | undefined): Promise<void> {
    const { silences } = this.server;
    while (this.server.silences === silences && signal?.aborted === false) await systemClock.sleep(5, signal);
  }

  /** Ships until the outbox is empty. */
  async shipAll(): Promise<void> {
    const stop = new AbortController();
    const running = this.shipper.run(stop.signal);
    const isDone = () => this.outbox.entries.length === 0 && this.shipper.state().storeReachable;
    for (let tries = 0; tries < 12_000 && !isDone(); tries++) await systemClock.sleep(5);
    const state = this.shipper.state();
    stop.abort();
    await running;
    assert.equal(this.outbox.entries.length, 0, `not shipped: ${JSON.stringify(state)}`);
    assert.deepEqual([state.storeReachable, state.problem], [true, undefined]);
  }

  /** Every shipment stands in the store under its key, confirmed once, after those before it on its way. */
  requireAllInOrder(): void {
    assert.deepEqual([...this.confirmed].sort(), this.entries.map(({ id }) => id).sort());
    assert.equal(this.server.objects.size, this.entries.length);
    for (const entry of this.entries) {
      const object = this.server.objects.get(this.pathOf(entry));
      assert.deepEqual(object, Buffer.alloc(entry.bytes, entry.id), this.pathOf(entry));
    }
    const folders = new Set(this.entries.map((entry) => folderOf(this.pathOf(entry))));
    for (const folder of folders) {
      const puts = this.server.requests.map((request) => request.replace('PUT ', ''));
      const inFolder = puts.filter((path) => folderOf(path) === folder);
      assert.deepEqual(inFolder, [...inFolder].sort(), 'in order');
    }
  }

  pathOf({ lane, database, table, seq }: OutboxEntry): string {
    return `/bucket/lake/inbox/press/${epoch}/${lane}/${database}/${table}/${String(seq).padStart(12, '0')}.parquet`;
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
