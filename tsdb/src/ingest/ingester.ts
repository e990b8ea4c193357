/**
 * The loop that takes shipments from the inbox into the tables.
 *
 * Every round:
 *
 * 1. List what waits in the inbox (`listInbox`).
 * 2. Every table for which something waits has its turn (`ingestTable`), some at a time.
 * 3. Objects with keys that are none of ours go into quarantine.
 * 4. A table that fails backs off by itself; a store that fails delays the next round. Both are logged when they begin
 *    and when they pass. Nothing is lost: what was not committed still waits in the inbox.
 *
 * All state is in the store. The folder `<data_dir>/staging` is wiped when the ingester opens.
 */
import { AssertionError } from 'node:assert';
import { mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '@varve/common/clock.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { Registry } from '@varve/common/metrics.js';
import type { Store } from '@varve/common/store/store.js';
import { mapBounded } from '../delta/bounded.js';
import type { DeltaCatalog } from '../delta/catalog.js';
import type { DataFiles } from '../delta/data-files.js';
import { DeltaLog } from '../delta/delta-log.js';
import { DuckDb } from '../delta/duckdb.js';
import { formatTableName } from '../delta/table-metadata.js';
import type { SeriesRegister } from '../latest/series-register.js';
import { ConflictBook, type TableConflicts } from './conflict-book.js';
import { quarantineForeign } from './foreign-objects.js';
import { GapWatch } from './gap-watch.js';
import { groupBy } from './group-by.js';
import { defaultIngestLimits, type IngestLimits } from './ingest-limits.js';
import { createIngestMetrics } from './ingest-metrics.js';
import {
  addTurn,
  toGapStatus,
  toTroubleStatus,
  type IngestStatus,
  type RoundReport,
  type TableStatus,
} from './ingest-status.js';
import { ingestTable, type IngestContext, type TableReport } from './ingest-table.js';
import { listInbox, type InboxObject } from './list-inbox.js';
import { RetrySchedule } from './retry-schedule.js';
import { stagingFolder } from './staging.js';

export interface IngesterOptions {
  readonly store: Store;
  readonly catalog: DeltaCatalog;
  readonly dataFiles: DataFiles;
  readonly register: SeriesRegister;
  readonly dataDir: string;
  readonly everyMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
  readonly memoryBytesMax?: number;
  readonly tempBytesMax?: number;
  readonly threads?: number;
  readonly limits?: Partial<IngestLimits>;
  /** In [0, 1), for jitter. */
  readonly random?: () => number;
}

const defaultMemoryBytesMax = 1024 * 2 ** 20;
const defaultTempBytesMax = 20 * 2 ** 30;
const retryMaxMs = 60_000;
/** In the retry schedule, for what concerns no single table. No table has a name without a dot. */
const inboxTrouble = 'inbox';

/** Wipes what an earlier process left in `<dataDir>/staging`. */
export async function openIngester(options: IngesterOptions): Promise<Ingester> {
  await rm(stagingFolder(options.dataDir), { recursive: true, force: true });
  await mkdir(options.dataDir, { recursive: true });
  return new Ingester(options, await ConflictBook.open(options));
}

export class Ingester {
  readonly #context: IngestContext;
  readonly #everyMs: number;
  readonly #gaps: GapWatch;
  readonly #retries: RetrySchedule;
  readonly #tables = new Map<string, TableStatus>();
  #resumeAfter: string | undefined;
  #rounds = 0;
  #lastRoundAtMs: number | undefined;
  #waiting = 0;
  #quarantined = 0;
  #lastError: IngestStatus['lastError'];

  /** @internal Use `openIngester`. */
  constructor(options: IngesterOptions, conflicts: ConflictBook) {
    const { store, clock, log, everyMs, random = Math.random } = options;
    this.#everyMs = everyMs;
    this.#gaps = new GapWatch(clock, log);
    this.#retries = new RetrySchedule({
      policy: { firstMs: everyMs, maxMs: retryMaxMs },
      clock,
      log,
      random,
    });
    this.#context = {
      ...options,
      conflicts,
      random,
      deltaLog: new DeltaLog(store, clock),
      duckDb: openDuckDb(options),
      stagingFolder: stagingFolder(options.dataDir),
      limits: { ...defaultIngestLimits, ...options.limits },
      metrics: createIngestMetrics(options.registry),
    };
  }

  /** Rounds until `signal` aborts; then the round under way is finished first. Throws only for faults of ours. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const hasMore = this.#retries.isDue(inboxTrouble) && (await this.#tryRound(signal));
      if (!hasMore) await this.#context.clock.sleep(this.#everyMs, signal);
    }
  }

  async #tryRound(signal: AbortSignal): Promise<boolean> {
    try {
      const { hasMore } = await this.runOnce(signal);
      this.#retries.worked(inboxTrouble);
      return hasMore;
    } catch (error) {
      this.#failed(inboxTrouble, error);
      return false;
    }
  }

  /** One round. @throws Failure when the inbox cannot be listed; tables that fail are in the report. */
  async runOnce(signal?: AbortSignal): Promise<RoundReport> {
    const { store, limits, clock } = this.#context;
    const beganAfter = this.#resumeAfter;
    const listing = await listInbox(store, limits, beganAfter);
    this.#resumeAfter = listing.resumeAfter;
    this.#waiting = listing.objects.length;

    const waitingByTable = groupByTable(listing.objects);
    const { reports, failures } = await this.#takeTurns(waitingByTable, signal);
    const isWholeInbox = beganAfter === undefined && listing.resumeAfter === undefined;
    if (isWholeInbox) this.#gaps.keepOnly([...waitingByTable.values()].map(({ name }) => name));

    const foreignCount = await quarantineForeign(this.#context, listing.foreign);
    const quarantined = foreignCount + sum(reports.map((report) => report.quarantined));
    this.#quarantined += quarantined;
    this.#rounds += 1;
    this.#lastRoundAtMs = clock.nowMs();
    this.#setGauges();
    await this.#context.register.save();
    await this.#context.conflicts.save();
    const hasMore = listing.resumeAfter !== undefined || reports.some((report) => report.hasMore);
    return { waiting: listing.objects.length, quarantined, tables: reports, failures, hasMore };
  }

  async #takeTurns(waitingByTable: ReadonlyMap<string, WaitingTable>, signal?: AbortSignal) {
    const reports: TableReport[] = [];
    const failures: { name: string; error: unknown }[] = [];
    const due = [...waitingByTable].filter(([text]) => this.#retries.isDue(text));
    await mapBounded(due, this.#context.limits.tablesAtOnceMax, async ([text, { name, objects }]) => {
      if (signal?.aborted) return;
      try {
        reports.push(this.#accept(text, await ingestTable(this.#context, name, objects, signal)));
      } catch (error) {
        this.#failed(text, error);
        failures.push({ name: text, error });
      }
    });
    return { reports, failures };
  }

  #accept(text: string, report: TableReport): TableReport {
    this.#retries.worked(text);
    this.#gaps.update(report.name, report.gaps);
    if (report.shipmentsCommitted > 0)
      this.#tables.set(text, addTurn(this.#tables.get(text), report, this.#context.clock.nowMs()));
    return report;
  }

  #failed(name: string, error: unknown): void {
    if (error instanceof AssertionError) throw error;
    this.#retries.failed(name, error);
    this.#lastError = { atMs: this.#context.clock.nowMs(), message: `${name}: ${messageOf(error)}` };
  }

  #setGauges(): void {
    this.#context.metrics.inboxWaiting.set(this.#waiting);
    this.#context.metrics.gaps.set(this.#gaps.current().length);
  }

  conflictsOf(name: TableName): TableConflicts {
    return this.#context.conflicts.of(name);
  }

  status(): IngestStatus {
    return {
      rounds: this.#rounds,
      lastRoundAtMs: this.#lastRoundAtMs,
      waiting: this.#waiting,
      quarantined: this.#quarantined,
      gaps: this.#gaps.current().map(toGapStatus),
      tables: [...this.#tables.values()],
      troubles: this.#retries.current().map(toTroubleStatus),
      lastError: this.#lastError,
    };
  }

  /** After `run` has returned. */
  async close(): Promise<void> {
    await this.#context.conflicts.save(true);
    await this.#context.duckDb.close();
  }
}

function openDuckDb(options: IngesterOptions): DuckDb {
  return new DuckDb({
    tempDir: join(stagingFolder(options.dataDir), 'spill'),
    memoryBytesMax: options.memoryBytesMax ?? defaultMemoryBytesMax,
    tempBytesMax: options.tempBytesMax ?? defaultTempBytesMax,
    threads: options.threads ?? availableParallelism(),
  });
}

interface WaitingTable {
  readonly name: TableName;
  readonly objects: readonly InboxObject[];
}

function groupByTable(objects: readonly InboxObject[]): Map<string, WaitingTable> {
  const groups = groupBy(objects, ({ parts }) => formatTableName(parts));
  return new Map(
    [...groups].flatMap(([text, group]) => {
      const [first] = group;
      if (first === undefined) return [];
      const { database, table } = first.parts;
      return [[text, { name: { database, table }, objects: group }] as const];
    }),
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
