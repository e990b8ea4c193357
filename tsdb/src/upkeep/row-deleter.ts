/**
 * Deletes rows of a table: those in a time range, or for which an expression is true, or both. As jobs, one after another.
 *
 * 1. A job is put to `ops/jobs/<id>.json` before it is accepted, and deleted when it has ended: whoever works on this store
 *    after a kill takes it up again. Doing it twice does no harm. Dry runs are not kept.
 * 2. Some files at a time, those of the first days first (`planDelete`): those without a chance are not read, those that
 *    go as a whole need not be, unless there is a condition. Of the others the matching rows are counted; only files that have some
 *    are written anew, each by itself, so that sorted ones stay sorted.
 * 3. COMMIT POINT, once for these files: `replaceFiles` with `dataChange: true`. Where a file has been replaced meanwhile,
 *    by compaction or late rows, that step is planned again from the newest version. A reader sees each step whole.
 * 4. It ends at a version that has no file left which has not been looked at: no row that was there when it began, and
 *    none that came while it ran, is left.
 *
 * Lanes' positions stay: shipments that are in the table already, the deleted rows among them, do not come back when they are
 * sent again. A row of the same (tags, time) in a new shipment is a new row. Earlier versions have the rows until vacuum.
 */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { dataFilePath, jobKey, jobsPrefix } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure, messageOf } from '@varve/common/errors.js';
import { Counter, type Registry } from '@varve/common/metrics.js';
import { requireWritable } from '../delta/actions.js';
import { writeDataFile } from '../delta/data-file-writer.js';
import type { NewFile } from '../delta/file-actions.js';
import type { TableState } from '../delta/replay.js';
import type { DataFile } from '../delta/snapshot.js';
import { formatTableName } from '../delta/table-metadata.js';
import type { Job, JobBook, JobHandle } from '../jobs.js';
import { formatDeleteTask, parseDeleteTask, type DeleteTask } from './delete-task.js';
import { checkCondition, countMatches, keptRows } from './matching-rows.js';
import { planDelete } from './plan-delete.js';
import { dropFiles, replaceFiles, uploadFile } from './replace-files.js';
import type { UpkeepContext } from './upkeep-context.js';

const lookEveryMs = 60_000;
const waitingMax = 16;
const filesPerStepMax = 64;
/** Steps that may be planned anew, one after the other, before the job fails. */
const conflictsMax = 50;

export interface RowDeleterOptions {
  readonly jobs: JobBook;
  readonly registry: Registry;
}

/** What was deleted, or would be. */
interface DeleteReport extends Readonly<Record<string, unknown>> {
  readonly rows: number;
  readonly days: readonly string[];
  readonly filesRemoved: number;
  readonly filesRewritten: number;
  readonly versions: readonly number[];
}

interface Tally {
  rows: number;
  filesRemoved: number;
  filesRewritten: number;
  readonly days: Set<string>;
  readonly versions: number[];
  /** Paths of files that have no row to delete. */
  readonly examined: Set<string>;
}

export class RowDeleter {
  readonly #context: UpkeepContext;
  readonly #options: RowDeleterOptions;
  readonly #queue = new Map<string, DeleteTask>();
  readonly #rowsDeleted: Counter;
  #wake = new AbortController();
  #isRunning = false;

  constructor(context: UpkeepContext, options: RowDeleterOptions) {
    this.#context = context;
    this.#options = options;
    this.#rowsDeleted = new Counter({
      name: 'varve_tsdb_deleted_rows_total',
      help: 'Rows that were deleted because somebody asked for it',
      registers: [options.registry],
    });
  }

  /**
   * @param task its `where` is an expression over the table's columns, which the caller has proven to be nothing else
   * @throws Failure `sql_invalid` where it is none over these columns, `overloaded`, `lease_elsewhere`
   */
  async submit(task: DeleteTask): Promise<Job> {
    const { store, catalog, clock } = this.#context;
    if (!this.#isRunning)
      throw new Failure('lease_elsewhere', 'this varve-tsdb does not write to the store now', {
        hint: 'ask the one that does: its /status says that it holds the lease',
      });
    if (this.#queue.size >= waitingMax)
      throw new Failure('overloaded', `${waitingMax} deletes wait already`, { hint: 'ask again later' });
    const state = catalog.get(task.name);
    if (state && task.where !== undefined) await this.#check(state, task.where);
    const id = randomUUID();
    if (!task.isDryRun) await store.putIfAbsent(jobKey(id), formatDeleteTask(task, clock.nowMs()));
    return this.#enqueue(id, task);
  }

  async #check(state: TableState, where: string): Promise<void> {
    await this.#context.duckDb.withSession((session) => checkCondition(session, state, where));
  }

  #enqueue(id: string, task: DeleteTask): Job {
    this.#queue.set(id, task);
    const { where, range, isDryRun } = task;
    const shown = { where, start: textOf(range.startUs), end: textOf(range.endUs) };
    const job = this.#options.jobs.add({
      ...{ kind: 'delete', table: formatTableName(task.name), task: shown, isDryRun, id },
    });
    this.#wake.abort();
    return job;
  }

  /** Takes up what is in the store, then what is submitted, until `signal` aborts; the step under way is finished first. */
  async run(signal: AbortSignal): Promise<void> {
    this.#isRunning = true;
    try {
      while (!signal.aborted) {
        this.#wake = new AbortController();
        await this.#takeUp();
        for (const [id, task] of [...this.#queue]) await this.#runJob(id, task, signal);
        if (this.#queue.size === 0)
          await this.#context.clock.sleep(lookEveryMs, AbortSignal.any([signal, this.#wake.signal]));
      }
    } finally {
      this.#isRunning = false;
    }
  }

  /** Jobs that another process, or an earlier life of this one, has left. */
  async #takeUp(): Promise<void> {
    const { store, log } = this.#context;
    try {
      for await (const { key } of store.list(jobsPrefix)) {
        const id = key.slice(jobsPrefix.length).replace(/\.json$/, '');
        if (this.#queue.has(id) || this.#queue.size >= waitingMax) continue;
        const task = parseDeleteTask(Buffer.from(await store.get(key)).toString('utf8'));
        if (task) this.#enqueue(id, task);
        else log.warn({ key }, 'this is no job; it is passed over');
      }
    } catch (error) {
      if (!isFailure(error)) throw error;
      log.warn({ reason: error.message }, 'jobs could not be looked for; later');
    }
  }

  async #runJob(id: string, task: DeleteTask, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { store, log, clock } = this.#context;
    const table = formatTableName(task.name);
    const facts = { kind: 'delete', table, id, isDryRun: task.isDryRun } as const;
    try {
      const report = await this.#options.jobs.run(facts, (job) => this.#delete(task, job, signal));
      if (!task.isDryRun) log.info({ table, id, ...report, days: report.days.length }, 'rows were deleted');
    } catch (error) {
      if (isFailure(error, 'stopping')) return;
      if (!isFailure(error)) log.error({ table, id, err: error }, 'a delete has failed');
      else log.warn({ table, id, reason: messageOf(error) }, 'a delete has failed');
      if (isFailure(error) && (error.kind === 'transient' || error.kind === 'conflict')) {
        // It stays in the queue and in the store.
        await clock.sleep(5_000, signal);
        return;
      }
    }
    this.#queue.delete(id);
    if (!task.isDryRun) await store.delete([jobKey(id)]).catch(() => undefined);
  }

  async #delete(task: DeleteTask, job: JobHandle, signal: AbortSignal): Promise<DeleteReport> {
    const tally: Tally = {
      ...{ rows: 0, filesRemoved: 0, filesRewritten: 0, days: new Set<string>() },
      ...{ versions: [], examined: new Set<string>() },
    };
    let conflicts = 0;
    for (let filesDone = 0; ;) {
      if (signal.aborted)
        throw new Failure('stopping', 'the program stops; the delete goes on when it starts');
      const state = await this.#context.catalog.refreshTable(task.name);
      if (!state) break;
      requireWritable(formatTableName(task.name), state);
      const { where, range } = task;
      const plan = planDelete(
        state.files.values(),
        range,
        where !== undefined,
        tally.examined,
        filesPerStepMax,
      );
      const count = plan.whole.length + plan.candidates.length;
      if (count === 0) break;
      if (await this.#step(state, task, plan, tally)) {
        conflicts = 0;
        filesDone += count;
        job.progress(filesDone, Math.max(filesDone, state.files.size));
      } else if (++conflicts > conflictsMax)
        throw new Failure('commit_conflict', `others changed the files ${conflicts} times in a row`);
    }
    if (!task.isDryRun) this.#rowsDeleted.inc(Number.isNaN(tally.rows) ? 0 : tally.rows);
    const { rows, days, filesRemoved, filesRewritten, versions } = tally;
    return { rows, days: [...days].sort(), filesRemoved, filesRewritten, versions };
  }

  /** False when a file was replaced meanwhile. */
  async #step(
    state: TableState,
    task: DeleteTask,
    { whole, candidates }: ReturnType<typeof planDelete>,
    tally: Tally,
  ): Promise<boolean> {
    const { dataFiles } = this.#context;
    const acquired = await dataFiles.acquire(candidates);
    const added: NewFile[] = [];
    const removed: DataFile[] = [...whole];
    const examined: string[] = [];
    let rows = whole.reduce((sum, { rowCount }) => sum + rowCount, 0);
    let rewritten = 0;
    try {
      const matches = await this.#count(state, task, candidates, acquired.paths);
      for (const file of candidates) {
        const { matching, total } = matches.get(file.path) ?? { matching: 0, total: 0 };
        if (matching === 0) examined.push(file.path);
        else {
          removed.push(file);
          rows += matching;
          if (matching < total && !task.isDryRun)
            added.push(await this.#rewrite(state, task, file, acquired.paths.get(file.path) ?? ''));
          if (matching < total) rewritten += 1;
        }
      }
    } catch (error) {
      await dropFiles(this.#context, task.name, added).catch(() => undefined);
      throw error;
    } finally {
      acquired.release();
    }
    if (removed.length > 0 && !task.isDryRun) {
      const version = await this.#commit(task, removed, added, rows);
      if (version === undefined) return false;
      tally.versions.push(version);
    }
    const done = task.isDryRun ? [...removed.map(({ path }) => path), ...examined] : examined;
    for (const path of [...done, ...added.map(({ path }) => path)]) tally.examined.add(path);
    for (const { day } of removed) tally.days.add(day);
    tally.filesRemoved += removed.length - rewritten;
    tally.filesRewritten += rewritten;
    tally.rows += rows;
    return true;
  }

  async #count(
    state: TableState,
    task: DeleteTask,
    candidates: readonly DataFile[],
    paths: ReadonlyMap<string, string>,
  ) {
    // Absolute, as DuckDB names it in its results.
    const local = candidates.map(({ path }) => ({ path, localPath: resolve(paths.get(path) ?? '') }));
    return await this.#context.duckDb.withSession((session) => countMatches(session, state, task, local));
  }

  async #rewrite(state: TableState, task: DeleteTask, file: DataFile, path: string): Promise<NewFile> {
    const localPath = this.#context.newPath();
    try {
      const written = await this.#context.duckDb.withSession((session) =>
        writeDataFile(session, keptRows(state, task, path), state.columns, localPath, { isLasting: true }),
      );
      const { day, level } = file;
      const added: NewFile = { ...written, day, level, path: dataFilePath(day, randomUUID()) };
      await uploadFile(this.#context, task.name, added, localPath);
      return added;
    } finally {
      await rm(localPath, { force: true });
    }
  }

  async #commit(task: DeleteTask, removed: readonly DataFile[], added: readonly NewFile[], rows: number) {
    const { where, range } = task;
    const limits = [
      ...(Number.isFinite(range.startUs) ? [`time >= '${textOf(range.startUs) ?? ''}'`] : []),
      ...(Number.isFinite(range.endUs) ? [`time < '${textOf(range.endUs) ?? ''}'`] : []),
    ];
    return await replaceFiles(this.#context, task.name, {
      removed,
      added,
      dataChange: true,
      summary: {
        operation: 'DELETE',
        operationParameters: {
          predicate: JSON.stringify([...limits, ...(where === undefined ? [] : [where])]),
        },
        operationMetrics: {
          numRemovedFiles: String(removed.length),
          numAddedFiles: String(added.length),
          numDeletedRows: String(rows),
        },
        isBlindAppend: false,
      },
    });
  }

  status() {
    return { waiting: this.#queue.size, waitingMax };
  }
}

/** Undefined where there is no limit. */
function textOf(us: number): string | undefined {
  return Number.isFinite(us) ? new Date(us / 1_000).toISOString() : undefined;
}
