/**
 * Merges small data files in the background, so that a table that gets a commit a second stays quick to read.
 *
 * Every round, for each table: plan (`planCompaction`), then for one job after the other
 *
 * 1. Write one file with the rows of all of the job's files, sorted. No two of them share (tags, time), so that there is
 *    nothing to merge but order, and the table has the same rows afterwards: `dataChange` is false.
 * 2. Upload it. Nothing refers to it yet.
 * 3. THE COMMIT POINT: put-if-absent of the next version, with the new file and without the old ones.
 *
 * Appending never conflicts with that, so when somebody else took the version, and the job's files are all still live, only
 * the put is tried again: compaction does not starve behind ingestion. When one is gone, the job is dropped.
 *
 * Replaced files stay in the store, for queries under way and readers of older versions, until vacuum removes them.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@varve/common/clock.js';
import { dataFileKey, dataFilePath, type TableName } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { Counter, type Registry } from '@varve/common/metrics.js';
import type { Store } from '@varve/common/store/store.js';
import type { Action } from '../delta/actions.js';
import { requireWritable } from '../delta/actions.js';
import type { DeltaCatalog } from '../delta/catalog.js';
import type { DataFiles } from '../delta/data-files.js';
import { writeDataFile } from '../delta/data-file-writer.js';
import { DeltaLog, type CommitSummary } from '../delta/delta-log.js';
import { DuckDb } from '../delta/duckdb.js';
import { addAction, removeAction, type NewFile } from '../delta/file-actions.js';
import { rowsOfFiles } from '../delta/file-rows.js';
import type { TableState } from '../delta/replay.js';
import { formatTableName } from '../delta/table-metadata.js';
import {
  defaultCompactionPolicy,
  planCompaction,
  type CompactionJob,
  type CompactionPolicy,
} from './plan-compaction.js';

const everyMs = 10_000;
const commitTriesMax = 20;
const memoryBytesMax = 512 * 2 ** 20;
const spillBytesMax = 20 * 2 ** 30;

export interface CompactorOptions {
  readonly store: Store;
  readonly catalog: DeltaCatalog;
  readonly dataFiles: DataFiles;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
  readonly policy?: CompactionPolicy;
}

export class Compactor {
  readonly #options: CompactorOptions;
  readonly #deltaLog: DeltaLog;
  readonly #duckDb: DuckDb;
  readonly #folder: string;
  readonly #filesCompacted: Counter;

  private constructor(options: CompactorOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    this.#deltaLog = new DeltaLog(options.store, options.clock);
    this.#duckDb = new DuckDb({
      tempDir: join(folder, 'spill'),
      memoryBytesMax,
      tempBytesMax: spillBytesMax,
      threads: 1,
    });
    this.#filesCompacted = new Counter({
      name: 'varve_tsdb_compacted_files_total',
      help: 'Data files that have been merged into larger ones',
      registers: [options.registry],
    });
  }

  /** Wipes what an earlier process left in `<dataDir>/compaction`. */
  static async open(options: CompactorOptions): Promise<Compactor> {
    const folder = join(options.dataDir, 'compaction');
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    return new Compactor(options, folder);
  }

  /** Rounds until `signal` aborts; the job under way is finished first. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#options.clock.sleep(everyMs, signal);
      await this.runOnce(signal);
    }
  }

  /** One round over all tables. A table that fails is logged and comes again in the next round. */
  async runOnce(signal?: AbortSignal): Promise<void> {
    const { catalog, log, policy = defaultCompactionPolicy } = this.#options;
    for (const { name, files } of catalog.current())
      for (const job of planCompaction(files.values(), policy)) {
        if (signal?.aborted) return;
        try {
          await this.#compact(name, job);
        } catch (error) {
          if (!isFailure(error)) throw error;
          log.warn({ table: formatTableName(name), err: error }, 'small files could not be merged; later');
          break;
        }
      }
  }

  async close(): Promise<void> {
    await this.#duckDb.close();
  }

  async #compact(name: TableName, job: CompactionJob): Promise<void> {
    const { store, catalog, dataFiles } = this.#options;
    const state = catalog.get(name);
    if (!state || !areLive(state, job)) return;
    requireWritable(formatTableName(name), state.protocol);
    const localPath = join(this.#folder, `${randomUUID()}.parquet`);
    try {
      const file = await this.#write(state, job, localPath);
      const key = dataFileKey(name, file.path);
      await store.putIfAbsent(key, { path: localPath });
      if (await this.#commit(name, job, file)) await dataFiles.adopt(key, localPath);
      else await store.delete([key]);
    } finally {
      await rm(localPath, { force: true });
    }
  }

  async #write({ columns }: TableState, { day, files }: CompactionJob, localPath: string): Promise<NewFile> {
    const acquired = await this.#options.dataFiles.acquire(files);
    try {
      const relation = rowsOfFiles([...acquired.paths.values()], columns);
      const written = await this.#duckDb.withSession((session) =>
        writeDataFile(session, relation, columns, localPath),
      );
      requireSameRows(files, written.statistics.rowCount);
      return { ...written, day, path: dataFilePath(day, randomUUID()) };
    } finally {
      acquired.release();
    }
  }

  /** False when one of the job's files is no longer live: then it is certain that no version has the new one. */
  async #commit(name: TableName, job: CompactionJob, file: NewFile): Promise<boolean> {
    const { catalog, clock } = this.#options;
    for (let tries = 1; ; tries++) {
      const state = await catalog.refreshTable(name);
      if (!state || !areLive(state, job)) return false;
      const facts = { nowMs: clock.nowMs(), dataChange: false };
      const actions: Action[] = [...job.files.map((old) => removeAction(old, facts)), addAction(file, facts)];
      try {
        const commit = await this.#deltaLog.commit(name, state.version + 1, summarise(job), actions);
        catalog.applied(name, commit.version, commit.actions);
        this.#filesCompacted.inc(job.files.length);
        return true;
      } catch (error) {
        if (!isFailure(error, 'commit_conflict')) throw error;
        if (tries >= commitTriesMax) return false;
      }
    }
  }
}

function areLive({ files }: TableState, job: CompactionJob): boolean {
  return job.files.every(({ path }) => files.has(path));
}

/** A last look before rows could be lost: files of other writers may not say how many they have. */
function requireSameRows(files: readonly { rowCount: number }[], writtenRows: number): void {
  const expected = files.reduce((sum, { rowCount }) => sum + rowCount, 0);
  if (Number.isNaN(expected) || expected === writtenRows) return;
  throw new Failure('object_corrupt', `files of ${expected} rows by the log hold ${writtenRows}`, {
    hint: 'compare the files of the table with its log',
  });
}

function summarise({ files }: CompactionJob): CommitSummary {
  return {
    operation: 'OPTIMIZE',
    operationParameters: { predicate: '[]' },
    operationMetrics: { numRemovedFiles: String(files.length), numAddedFiles: '1' },
    isBlindAppend: false,
  };
}
