/**
 * A gateway without a battery clock, with a true time beside it: log, clock watch and pump, which can be killed, and booted.
 *
 * What is true of a message is known here: when it came, and whether its boot was ever set right. For tests.
 */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Clock } from '@varve/common/clock.js';
import type { ShipmentMetadata } from '@varve/common/contract/shipment.js';
import { silentLogger } from '@varve/common/log.js';
import { createRegistry } from '@varve/common/metrics.js';
import type { BatchColumns } from '../batch/table-batch.js';
import { Aggregation } from '../aggregate/aggregation.js';
import { noReduction, Reduction } from '../reduce/reduction.js';
import { Router } from '../decode/router.js';
import { parseTopicTemplate } from '../decode/topic-template.js';
import { BlockBuilder } from '../log/block.js';
import type { EdgeLog } from '../log/edge-log.js';
import { SqliteLog } from '../log/sqlite-log.js';
import { createEdgeMetrics } from '../metrics.js';
import { Outbox, planUploads } from '../ship/outbox.js';
import { Pump } from '../ship/pump.js';
import { remakeShipment } from '../ship/remake-shipment.js';
import { ClockWatch, type ClockFacts } from './clock-watch.js';

const topic = parseTopicTemplate('plant/{device}');
assert(typeof topic !== 'string');
const shape = { database: 'main', format: 'json', topic, fields: undefined, priority: 0 } as const;
const noAggregates = { raw: 'ship', aggregates: [] } as const;
const streams = [{ ...shape, ...noAggregates, name: 'readings', time: undefined }];

export interface Row {
  readonly value: number;
  readonly timeMs: number;
}

interface Boot {
  readonly id: string;
  readonly startedMs: number;
  /** Wall clock minus monotonic clock, until it is set right. */
  wrongOffsetMs: number;
  isSet: boolean;
  /** The agent has learned that, durably. */
  isKnown: boolean;
}

interface Life {
  readonly isStoreThere: boolean;
  readonly stepsUntilKilled?: number;
  /** The clock is set while the pump runs. */
  readonly isSetMeanwhile?: boolean;
}

class Killed extends Error {}

/** Of the monotonic clock: a crystal. */
const drift = 1e-6;

export class Gateway {
  /** In order of arrival; the value of a message is its index here. */
  readonly sent: { readonly trueMs: number; readonly boot: Boot }[] = [];
  /** In the order of arrival in the store. */
  readonly shipped: Row[] = [];
  readonly #patienceMs: number;
  readonly #directory = mkdtempSync(join(tmpdir(), 'varve-clock-'));
  readonly #stored = new Set<string>();
  readonly #files = new Map<string, readonly Row[]>();
  #trueMs = Date.UTC(2026, 10, 22);
  #boot: Boot;
  #log: SqliteLog;
  #watch: ClockWatch;
  #isStoreThere = true;
  #outboxEntries = 0;
  #stepsLeft = Infinity;

  static async start(patienceMs: number): Promise<Gateway> {
    const gateway = new Gateway(patienceMs);
    await gateway.#watch.look();
    return gateway;
  }

  private constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
    this.#boot = this.#newBoot(0);
    this.#log = this.#openLog();
    this.#watch = this.#newWatch();
  }

  get log(): SqliteLog {
    return this.#log;
  }

  get facts(): ClockFacts {
    return this.#watch.facts();
  }

  async pass(ms: number): Promise<void> {
    this.#trueMs += ms;
    await this.#watch.look();
  }

  async receive(count: number): Promise<void> {
    const block = new BlockBuilder(() => this.#watch.blockClock());
    for (let index = 0; index < count; index++) {
      const payload = Buffer.from(`{"a":${this.sent.length}}`);
      block.add({ topic: 'plant/press', payload, arrivedMs: this.#watch.nowMs(), packetId: 0 });
      this.sent.push({ trueMs: this.#trueMs, boot: this.#boot });
      // A clock that is set in the middle of a block.
      await this.pass(7);
    }
    this.#log.append([{ source: 'plant', messageCount: count, bytes: block.finish() }]);
  }

  /** Somebody sets the clock to a time that cannot be. */
  async setWrong(wallMs: number): Promise<void> {
    this.#boot.wrongOffsetMs = wallMs - this.#monotonicMs();
    await this.#watch.look();
  }

  /** A time server is reached. */
  async setRight(): Promise<void> {
    this.#boot.isSet = true;
    await this.#watch.look();
  }

  /** The process is started again, on the same boot. */
  async restart(): Promise<void> {
    this.#log.close();
    this.#log = this.#openLog();
    this.#watch = this.#newWatch();
    await this.#watch.look();
  }

  /** The clock begins in 1970, or where it was when the gateway went off. */
  async reboot(offMs: number, isTimeSaved: boolean): Promise<void> {
    const savedMs = isTimeSaved ? this.#wallMs() : 0;
    this.#trueMs += offMs;
    this.#boot = this.#newBoot(savedMs);
    await this.restart();
  }

  /** Pumps and uploads until nothing is left to do, or it is killed. */
  async live({ isStoreThere, stepsUntilKilled = Infinity, isSetMeanwhile = false }: Life): Promise<void> {
    this.#isStoreThere = isStoreThere;
    this.#stepsLeft = stepsUntilKilled;
    try {
      await this.#watch.look();
      const outbox = await Outbox.open(this.#directory, this.#edgeLog(), 1e9);
      await this.#pump(outbox, isSetMeanwhile);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      this.#stepsLeft = Infinity;
      await this.restart();
    } finally {
      this.#boot.isKnown ||= this.facts.state === 'trusted';
      this.#stepsLeft = Infinity;
    }
  }

  /** Every shipment in the outbox, made again from the log, has the rows it had. Returns how many hold readings. */
  async requireRemade(): Promise<number> {
    const log = this.#edgeLog();
    const outbox = await Outbox.open(this.#directory, log, 1e9);
    for (const entry of outbox.entries) {
      const before = this.#files.get(entry.file);
      const parts = { ...this.#parts(), log, outbox, onLosses: () => undefined, streams };
      const { file } = await remakeShipment(entry, parts);
      assert.deepEqual(this.#files.get(file), before);
    }
    return outbox.entries.filter(({ table }) => table === 'readings').length;
  }

  close(): void {
    this.#log.close();
    rmSync(this.#directory, { recursive: true });
  }

  async #pump(outbox: Outbox, isSetMeanwhile: boolean): Promise<void> {
    const stop = new AbortController();
    const clock: Clock = {
      ...this.#clock(),
      sleep: async () => {
        if (isSetMeanwhile && !this.#boot.isSet) await this.setRight();
        else if (this.#isStoreThere && (await this.#upload(outbox))) pump.wake();
        else stop.abort();
      },
    };
    const pump: Pump = new Pump({
      ...{ ...this.#parts(), log: this.#edgeLog(), outbox, clock, arrivals: this.#watch },
      reduction: new Reduction({ streams: [], opened: noReduction }),
      aggregation: new Aggregation({ streams: [], opened: this.#log.state().aggregates, openBytesMax: 0 }),
      ...{ onStaged: () => undefined, mayStage: () => true, onDiskFull: () => undefined },
      policy: { everyMs: 0, rowsMax: 10, bytesMax: 1e6, logBytesMax: 1e9, liveFirst: true },
    });
    await pump.run(stop.signal);
    this.#outboxEntries = outbox.entries.length;
  }

  async #upload(outbox: Outbox): Promise<boolean> {
    const [entry] = planUploads(outbox.entries, 1);
    if (!entry) return false;
    this.#step();
    const rows = this.#files.get(entry.file);
    assert(rows);
    // The store has it from here on, whatever is killed; a put that is repeated changes nothing.
    const key = `${entry.lane}/${entry.table}/${entry.seq}`;
    if (!this.#stored.has(key)) this.shipped.push(...rows);
    this.#stored.add(key);
    await outbox.confirm(entry);
    this.#outboxEntries = outbox.entries.length;
    return true;
  }

  #parts() {
    return {
      agent: 'press',
      router: new Router(streams),
      encoder: {
        encode: (columns: BatchColumns, metadata: ShipmentMetadata, path: string) =>
          this.#encode(columns, metadata, path),
      },
      clock: this.#clock(),
      ...{ logger: silentLogger(), metrics: createEdgeMetrics(createRegistry(() => 0)) },
    };
  }

  #encode(columns: BatchColumns, { table }: ShipmentMetadata, path: string): Promise<number> {
    this.#step();
    writeFileSync(path, 'x');
    const values = [...(columns.fields[0]?.values ?? [])];
    const rows = values.map((value, index) => ({ value, timeMs: (columns.timeUs[index] ?? 0) / 1_000 }));
    this.#files.set(path.slice(path.lastIndexOf('/') + 1), table === 'readings' ? rows : []);
    return Promise.resolve(1);
  }

  #newBoot(wallMs: number): Boot {
    const startedMs = this.#trueMs;
    return { id: `boot at ${startedMs}`, startedMs, wrongOffsetMs: wallMs, isSet: false, isKnown: false };
  }

  #monotonicMs(): number {
    return (this.#trueMs - this.#boot.startedMs) * (1 + drift);
  }

  #wallMs(): number {
    const { isSet, wrongOffsetMs } = this.#boot;
    return isSet ? this.#trueMs : Math.floor(this.#monotonicMs() + wrongOffsetMs);
  }

  #clock(): Clock {
    return { ...systemClock, nowMs: () => this.#wallMs(), monotonicMs: () => this.#monotonicMs() };
  }

  #newWatch(): ClockWatch {
    return new ClockWatch({
      config: { trust: 'auto', patienceMs: this.#patienceMs },
      bootId: this.#boot.id,
      log: this.#edgeLog(),
      clock: this.#clock(),
      readEvidence: () =>
        Promise.resolve({ isSynchronised: this.#boot.isSet, hasTimesync: true, hardwareMs: undefined }),
      isStoreAway: () => !this.#isStoreThere && this.#outboxEntries > 0,
      ...{ onChange: () => undefined, logger: silentLogger() },
    });
  }

  #openLog(): SqliteLog {
    const path = join(this.#directory, 'edge.sqlite');
    return new SqliteLog({ path, agent: 'press', newEpoch: '20261122t000000z-1' });
  }

  /** The log as the agent sees it, which may be killed before every call and after every change. */
  #edgeLog() {
    const step =
      <Args extends unknown[], Result>(work: (...args: Args) => Result) =>
      async (...args: Args): Promise<Result> => {
        await Promise.resolve();
        this.#step();
        const result = work(...args);
        this.#step();
        return result;
      };
    return {
      opened: this.#log.state(),
      // Block by block, so that a log has many windows.
      read: step((fromSeq: number, _: number, clockBoot?: number) => this.#log.read(fromSeq, 1, clockBoot)),
      sizes: step((seq: number) => this.#log.sizes(seq)),
      waitingLosses: step(() => this.#log.waitingLosses()),
      shippedLosses: step((id: number) => this.#log.shippedLosses(id)),
      stage: step((request: Parameters<EdgeLog['stage']>[0]) => this.#log.stage(request)),
      confirm: step((id: number) => this.#log.confirm(id)),
      replace: step((entry: Parameters<EdgeLog['replace']>[0]) => this.#log.replace(entry)),
      beginBoot: step((id: string) => this.#log.beginBoot(id)),
      trustBoot: step((trust: Parameters<EdgeLog['trustBoot']>[0]) => this.#log.trustBoot(trust)),
    };
  }

  #step(): void {
    if (this.#stepsLeft-- <= 0) throw new Killed();
  }
}
