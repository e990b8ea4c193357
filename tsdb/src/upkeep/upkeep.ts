/**
 * Upkeep of the tables, in the background: compaction, retention, deletes of rows. One DuckDB with one thread for all of them.
 *
 * Each is a loop of its own and safe beside the others, and beside other processes: all of them commit through
 * `replace-files.ts`.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@varve/common/clock.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import type { Logger } from '@varve/common/log.js';
import type { Registry } from '@varve/common/metrics.js';
import { runLoops } from '@varve/common/run-loops.js';
import type { Store } from '@varve/common/store/store.js';
import type { DeltaCatalog } from '../delta/catalog.js';
import type { DataFiles } from '../delta/data-files.js';
import { DeltaLog } from '../delta/delta-log.js';
import { DuckDb } from '../delta/duckdb.js';
import { quoteText } from '../delta/sql-text.js';
import type { Job, JobBook } from '../jobs.js';
import { Compactor } from './compactor.js';
import type { DeleteTask } from './delete-task.js';
import type { CompactionPolicy } from './plan-compaction.js';
import { Retention, type RetentionReport } from './retention.js';
import { RowDeleter } from './row-deleter.js';
import type { UpkeepContext } from './upkeep-context.js';

const defaultMemoryBytesMax = 512 * 2 ** 20;
const spillBytesMax = 20 * 2 ** 30;

export interface UpkeepOptions {
  readonly store: Store;
  readonly catalog: DeltaCatalog;
  readonly dataFiles: DataFiles;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
  readonly jobs: JobBook;
  /** Undefined: for ever. */
  readonly retainMsOf: (name: TableName) => number | undefined;
  readonly policy?: CompactionPolicy;
  readonly compactEveryMs?: number;
  readonly memoryBytesMax?: number;
}

export class Upkeep {
  readonly compactor: Compactor;
  readonly retention: Retention;
  readonly deleter: RowDeleter;
  readonly #context: UpkeepContext;

  private constructor(options: UpkeepOptions, context: UpkeepContext) {
    this.#context = context;
    this.compactor = new Compactor(context, options);
    this.retention = new Retention(context, options);
    this.deleter = new RowDeleter(context, options);
  }

  /** Wipes what an earlier process left in `<dataDir>/upkeep`. */
  static async open(options: UpkeepOptions): Promise<Upkeep> {
    const { store, clock, memoryBytesMax = defaultMemoryBytesMax } = options;
    const folder = join(options.dataDir, 'upkeep');
    await rm(folder, { recursive: true, force: true });
    const newPath = () => {
      // Each time: somebody may have deleted it (DESIGN I12).
      mkdirSync(folder, { recursive: true });
      return join(folder, `${randomUUID()}.parquet`);
    };
    const bounds = { memoryBytesMax, tempBytesMax: spillBytesMax, threads: 1 };
    const duckDb = new DuckDb({ tempDir: join(folder, 'spill'), ...bounds });
    return new Upkeep(options, { ...options, newPath, duckDb, deltaLog: new DeltaLog(store, clock) });
  }

  async run(signal: AbortSignal): Promise<void> {
    await runLoops(signal, [
      (stop) => this.compactor.run(stop),
      (stop) => this.retention.run(stop),
      (stop) => this.deleter.run(stop),
    ]);
  }

  /** What DuckDB's parser makes of a text, as JSON. Nothing is bound or run. */
  async serializeSql(sql: string): Promise<string> {
    return await this.#context.duckDb.withSession(async (session) => {
      const [row] = await session.rows(`SELECT json_serialize_sql(${quoteText(sql)}::VARCHAR) AS tree`);
      return String(row?.['tree']);
    });
  }

  async submitDelete(task: DeleteTask): Promise<Job> {
    return await this.deleter.submit(task);
  }

  async retain(isDryRun: boolean): Promise<RetentionReport[]> {
    return await this.retention.runOnce({ isDryRun });
  }

  async close(): Promise<void> {
    await this.#context.duckDb.close();
  }

  status() {
    return { retention: this.retention.status(), deletes: this.deleter.status() };
  }
}
