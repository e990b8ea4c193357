/**
 * Compaction: small data files become larger ones, closed days become sorted ones (`plan-compaction.ts`), in the background.
 *
 * A job reads its files, writes new ones with the same rows – no two of them share (tags, time), so there is nothing to
 * merge but order –, uploads them, and commits (`replace-files.ts`) with `dataChange: false`.
 *
 * It is bounded, and leaves room for others: DuckDB has one thread and a bound on memory and spill; a sort is of one file
 * at a time; between two files it rests for a quarter of what the last one took, does the merges that have become
 * due meanwhile, and ends when the program stops. What a sort has uploaded before it is killed is lost work, and vacuum's.
 */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { dataFilePath, type TableName } from '@varve/common/contract/object-keys.js';
import { isFailure } from '@varve/common/errors.js';
import { Counter, type Registry } from '@varve/common/metrics.js';
import { requireWritable } from '../delta/actions.js';
import { writeDataFile, type WrittenFile } from '../delta/data-file-writer.js';
import type { CommitSummary } from '../delta/delta-log.js';
import type { Session } from '../delta/duckdb.js';
import type { NewFile } from '../delta/file-actions.js';
import { rowsOfFiles } from '../delta/file-rows.js';
import type { TableState } from '../delta/replay.js';
import type { DataFile } from '../delta/snapshot.js';
import { formatTableName } from '../delta/table-metadata.js';
import type { JobBook, JobHandle } from '../jobs.js';
import {
  defaultCompactionPolicy,
  mergedLevel,
  planCompaction,
  sortedLevel,
  type CompactionJob,
  type CompactionPolicy,
} from './plan-compaction.js';
import { areLive, dropFiles, replaceFiles, requireSameRows, uploadFile } from './replace-files.js';
import type { UpkeepContext } from './upkeep-context.js';
import { writeSorted } from './write-sorted.js';

const defaultEveryMs = 10_000;
const restShare = 0.25;
const restMsMax = 5_000;

export interface CompactorOptions {
  readonly jobs: JobBook;
  readonly registry: Registry;
  readonly policy?: CompactionPolicy;
  readonly compactEveryMs?: number;
}

export class Compactor {
  readonly #context: UpkeepContext;
  readonly #jobs: JobBook;
  readonly #policy: CompactionPolicy;
  readonly #everyMs: number;
  readonly #filesCompacted: Counter;
  readonly #rowsCompacted: Counter;
  /** Of the sort under way: what is merged meanwhile must not take them from it. */
  #sorting: ReadonlySet<DataFile> = new Set();

  constructor(context: UpkeepContext, options: CompactorOptions) {
    const { jobs, registry, policy = defaultCompactionPolicy, compactEveryMs = defaultEveryMs } = options;
    this.#context = context;
    this.#jobs = jobs;
    this.#policy = policy;
    this.#everyMs = compactEveryMs;
    const registers = [registry];
    this.#filesCompacted = new Counter({
      name: 'varve_tsdb_compacted_files_total',
      help: 'Data files that have been written anew as larger or sorted ones',
      registers,
    });
    this.#rowsCompacted = new Counter({
      name: 'varve_tsdb_compacted_rows_total',
      help: 'Rows in these files',
      registers,
    });
  }

  /** Rounds until `signal` aborts; the file under way is finished first. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#context.clock.sleep(this.#everyMs, signal);
      await this.runOnce(signal);
    }
  }

  /** All merges there are to do, then all sorts. A table that fails is logged and comes again in the next round. */
  async runOnce(signal?: AbortSignal): Promise<void> {
    await this.#runJobs('merge', signal);
    await this.#runJobs('sort', signal);
  }

  async #runJobs(kind: CompactionJob['kind'], signal?: AbortSignal): Promise<void> {
    const { catalog, clock, log } = this.#context;
    for (const table of catalog.current())
      for (const job of planCompaction(table, this.#policy, clock.nowMs())) {
        if (signal?.aborted) return;
        if (job.kind !== kind || job.files.some((file) => this.#sorting.has(file))) continue;
        try {
          await this.#compact(table.name, job, signal);
        } catch (error) {
          if (!isFailure(error)) throw error;
          log.warn(
            { table: formatTableName(table.name), err: error },
            'data files could not be compacted; later',
          );
          break;
        }
      }
  }

  async #compact(name: TableName, job: CompactionJob, signal?: AbortSignal): Promise<void> {
    const state = this.#context.catalog.get(name);
    if (!state || !areLive(state, job.files)) return;
    requireWritable(formatTableName(name), state);
    const facts = { kind: 'compaction', table: formatTableName(name) } as const;
    const task = { kind: job.kind, day: job.day, files: job.files.length };
    await this.#jobs.run({ ...facts, task }, async (handle) => {
      const added = await this.#write(state, job, handle, signal);
      if (added === undefined) return { stopped: true };
      const change = { removed: job.files, added, dataChange: false, summary: summarise(job, added) };
      const version = await replaceFiles(this.#context, name, change);
      if (version === undefined) return { overtaken: true };
      const rows = sumRows(added);
      this.#filesCompacted.inc(job.files.length);
      this.#rowsCompacted.inc(rows);
      return { version, files: added.length, rows };
    });
  }

  /** The new files, all in the store; undefined when told to stop. */
  async #write(
    state: TableState,
    job: CompactionJob,
    handle: JobHandle,
    signal?: AbortSignal,
  ): Promise<readonly NewFile[] | undefined> {
    const acquired = await this.#context.dataFiles.acquire(job.files);
    const added: NewFile[] = [];
    const rowsIn = job.files.reduce((sum, { rowCount }) => sum + rowCount, 0);
    try {
      const paths = [...acquired.paths.values()];
      await this.#context.duckDb.withSession(async (session) => {
        for await (const written of this.#files(session, state, job, paths)) {
          added.push(await this.#upload(state.name, job, written));
          handle.progress(sumRows(added), rowsIn);
          if (signal?.aborted) return;
        }
      });
      if (signal?.aborted && job.kind === 'sort') {
        await dropFiles(this.#context, state.name, added);
        return undefined;
      }
      requireSameRows(rowsIn, sumRows(added));
      return added;
    } catch (error) {
      await dropFiles(this.#context, state.name, added).catch(() => undefined);
      throw error;
    } finally {
      if (job.kind === 'sort') this.#sorting = new Set();
      acquired.release();
    }
  }

  async *#files(
    session: Session,
    { columns }: TableState,
    job: CompactionJob,
    paths: readonly string[],
  ): AsyncGenerator<WrittenFile> {
    const { clock } = this.#context;
    const relation = rowsOfFiles(paths, columns);
    const { newPath } = this.#context;
    if (job.kind === 'merge') {
      yield await writeDataFile(session, relation, columns, newPath());
      return;
    }
    const bytes = job.files.reduce((sum, file) => sum + file.bytes, 0);
    let startedMs = clock.monotonicMs();
    this.#sorting = new Set(job.files);
    for await (const written of writeSorted(session, {
      relation,
      columns,
      bytes,
      newPath,
      targetBytes: this.#policy.targetBytes,
    })) {
      const tookMs = clock.monotonicMs() - startedMs;
      yield written;
      await clock.sleep(Math.min(tookMs * restShare, restMsMax));
      await this.#runJobs('merge');
      startedMs = clock.monotonicMs();
    }
  }

  async #upload(name: TableName, { kind, day }: CompactionJob, written: WrittenFile): Promise<NewFile> {
    const level = kind === 'merge' ? mergedLevel : sortedLevel;
    const file: NewFile = { ...written, day, path: dataFilePath(day, randomUUID()), level };
    try {
      await uploadFile(this.#context, name, file, written.localPath);
    } finally {
      await rm(written.localPath, { force: true });
    }
    return file;
  }
}

function sumRows(files: readonly NewFile[]): number {
  return files.reduce((sum, { statistics }) => sum + statistics.rowCount, 0);
}

function summarise({ files }: CompactionJob, added: readonly NewFile[]): CommitSummary {
  return {
    operation: 'OPTIMIZE',
    operationParameters: { predicate: '[]' },
    operationMetrics: { numRemovedFiles: String(files.length), numAddedFiles: String(added.length) },
    isBlindAppend: false,
  };
}
