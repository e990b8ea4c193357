/**
 * The newest row of every series of every table, in memory: what `/api/v1/latest` answers from, and by what ingest knows
 * rows that can meet no older ones (`ingest/plan-late.ts`).
 *
 * 1. Of each table the register is exact for one version. Ingest hands over what its own commits bring (`written`); the
 *    commits of others are read from the log and looked at (`planCatchUp`); where that is not possible, or nothing is known
 *    yet, all live files are read, in the background.
 * 2. It is kept in `<data_dir>/latest`, at most `saveEveryMs` behind, and is caught up from there after a restart. Without
 *    it the lake is read (DESIGN I12).
 * 3. A delete leaves no wrong row: it makes the register read all anew. Until then there is no register for the table.
 *
 * Bounds: `seriesMax` series of a table, beyond which it has no register; one table is read at a time, `filesAtOnceMax` files
 * at a time. Tables of aggregates have none: every shipment of theirs is a series (`part`).
 */
import { join } from 'node:path';
import type { Clock } from '@varve/common/clock.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { isFailure, messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { Action } from '../delta/actions.js';
import type { DataFiles } from '../delta/data-files.js';
import { toDataFile } from '../delta/data-file.js';
import type { DeltaLog } from '../delta/delta-log.js';
import type { DuckDb } from '../delta/duckdb.js';
import { rowsOfFiles } from '../delta/file-rows.js';
import type { TableState } from '../delta/replay.js';
import type { DataFile } from '../delta/snapshot.js';
import { formatTableName } from '../delta/table-metadata.js';
import { planCatchUp } from './plan-catch-up.js';
import { readNewest } from './read-newest.js';
import { forgetLatest, loadLatest, saveLatest } from './saved-latest.js';
import { newerOf, seriesKey, type LatestRow, type LatestRows, type SeriesRows } from './series.js';

const filesAtOnceMax = 64;
/** Of commits that are looked at one by one; more than that are not quicker than reading all. */
const tailCommitsMax = 2_000;
const saveEveryMs = 60_000;
export const seriesMaxDefault = 500_000;

export interface SeriesRegisterOptions {
  readonly deltaLog: DeltaLog;
  readonly dataFiles: DataFiles;
  /** Sessions of its own: reading a lake must not hold ingest back. */
  readonly duckDb: DuckDb;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly seriesMax?: number;
}

interface TableRows {
  readonly tableId: string;
  version: number;
  readonly rows: Map<string, LatestRow>;
  savedVersion: number;
  savedAtMs: number;
}

export class SeriesRegister {
  readonly #options: SeriesRegisterOptions;
  readonly #folder: string;
  readonly #seriesMax: number;
  readonly #tables = new Map<string, TableRows>();
  /** Tables with too many series, by name: the id of the table. */
  readonly #tooMany = new Map<string, string>();
  readonly #runs = new Map<string, Promise<LatestRows | undefined>>();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: SeriesRegisterOptions) {
    this.#options = options;
    this.#folder = join(options.dataDir, 'latest');
    this.#seriesMax = options.seriesMax ?? seriesMaxDefault;
  }

  /** Never waits: undefined unless the register is exact for that version of the table. */
  peek(state: TableState): LatestRows | undefined {
    const table = this.#tables.get(formatTableName(state.name));
    return table?.version === state.version && table.tableId === state.metaData.id ? table.rows : undefined;
  }

  /** As `peek`; where nothing is known it is brought up in the background. Undefined for what is not of now. */
  knownOf(state: TableState | undefined): LatestRows | undefined {
    if (!state) return undefined;
    const rows = this.peek(state);
    // Who asks for newest rows asks again.
    if (!rows) this.latest(state).catch((error: unknown) => this.#warn(state, error));
    return rows;
  }

  /**
   * The newest rows as of that version, or a later one; it waits until they are known. Undefined for a table of aggregates,
   * or one with too many series. Concurrent calls share one run. @throws Failure of the store or of this machine
   */
  async latest(state: TableState): Promise<LatestRows | undefined> {
    const known = this.#tables.get(formatTableName(state.name));
    if (known && known.tableId === state.metaData.id && known.version >= state.version) return known.rows;
    if (this.#isWithout(state)) return undefined;
    const key = formatTableName(state.name);
    const running = this.#runs.get(key);
    if (running) {
      await running;
      return await this.latest(state);
    }
    const run = this.#inTurn(() => this.#bring(state)).finally(() => this.#runs.delete(key));
    this.#runs.set(key, run);
    return await run;
  }

  /**
   * The register for that version if it is known, or a few commits away. Otherwise undefined, and it is brought up in the
   * background. @throws Failure of the store or of this machine
   */
  async marks(state: TableState): Promise<LatestRows | undefined> {
    const inStep = this.peek(state);
    if (inStep || this.#isWithout(state)) return inStep;
    const key = formatTableName(state.name);
    if (this.#runs.has(key)) return undefined;
    const table = this.#tables.get(key);
    if (table?.tableId === state.metaData.id) {
      const run = this.#tryCatchUp(table, state).then((isDone) => (isDone ? table.rows : undefined));
      this.#runs.set(key, run);
      const rows = await run.finally(() => this.#runs.delete(key));
      if (rows) return rows;
      this.#tables.delete(key);
    }
    this.latest(state).catch((error: unknown) => this.#warn(state, error));
    return undefined;
  }

  #warn({ name }: TableState, error: unknown): void {
    this.#options.log.warn(
      { table: formatTableName(name), reason: messageOf(error) },
      'the newest rows could not be read; later',
    );
  }

  #isWithout({ name, metaData, aggregate }: TableState): boolean {
    return aggregate !== undefined || this.#tooMany.get(formatTableName(name)) === metaData.id;
  }

  /** One table at a time. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work, work);
    this.#queue = turn.catch(() => undefined);
    return await turn;
  }

  /**
   * After our own commit made `state` of the version before: `rows` are what its rows say of each series. A newly made table
   * begins here.
   */
  written(state: TableState, rows: readonly SeriesRows[] | undefined): void {
    if (this.#isWithout(state)) return;
    const key = formatTableName(state.name);
    if (state.version === 0) this.#tables.set(key, emptyRows(state));
    const table = this.#tables.get(key);
    // Not in step: it is caught up when somebody asks.
    if (table?.tableId !== state.metaData.id || table.version !== state.version - 1 || !rows) return;
    this.#merge(key, table, rows);
    table.version = state.version;
  }

  #merge(key: string, table: TableRows, rows: readonly SeriesRows[]): void {
    for (const row of rows) {
      const series = seriesKey(row.tags);
      table.rows.set(series, newerOf(table.rows.get(series), row));
    }
    if (table.rows.size <= this.#seriesMax) return;
    this.#tables.delete(key);
    this.#tooMany.set(key, table.tableId);
    const { log } = this.#options;
    log.warn(
      { table: key, seriesMax: this.#seriesMax },
      'too many series: their newest rows are not kept in memory',
    );
  }

  async #bring(state: TableState): Promise<LatestRows | undefined> {
    const key = formatTableName(state.name);
    let table = this.#tables.get(key) ?? (await this.#load(state.name));
    if (table?.tableId !== state.metaData.id || !(await this.#tryCatchUp(table, state)))
      table = await this.#readAll(state);
    if (this.#isWithout(state)) return undefined;
    this.#tables.set(key, table);
    this.#merge(key, table, []);
    return this.#tables.get(key)?.rows;
  }

  async #load(name: TableName): Promise<TableRows | undefined> {
    const saved = await loadLatest(this.#folder, name);
    return saved && { ...saved, savedVersion: saved.version, savedAtMs: this.#options.clock.nowMs() };
  }

  /** False where all must be read anew. */
  async #tryCatchUp(table: TableRows, state: TableState): Promise<boolean> {
    if (table.version > state.version || state.version - table.version > tailCommitsMax) return false;
    try {
      const plan = planCatchUp(await this.#readCommits(state.name, table.version, state.version));
      if (plan === 'read anew') return false;
      const files = plan.added.map((add) => toDataFile(state.name, add, undefined));
      const rows = await this.#readFiles(files, state);
      if (!rows) return false;
      this.#merge(formatTableName(state.name), table, rows);
    } catch (error) {
      // Cleaned up, or vacuumed: the table itself is still there.
      if (isFailure(error) && error.kind === 'corrupt') return false;
      throw error;
    }
    table.version = state.version;
    return true;
  }

  async #readCommits(name: TableName, after: number, to: number): Promise<(readonly Action[])[]> {
    const commits: (readonly Action[])[] = [];
    if (after < to)
      for await (const { version, actions } of this.#options.deltaLog.readTail(name, after)) {
        commits.push(actions);
        if (version === to) break;
      }
    return commits;
  }

  async #readAll(state: TableState): Promise<TableRows> {
    const { log, clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const table = emptyRows(state);
    table.version = state.version;
    const rows = await this.#readFiles([...state.files.values()], state);
    for (const row of rows ?? []) {
      const key = seriesKey(row.tags);
      table.rows.set(key, newerOf(table.rows.get(key), row));
    }
    if (!rows) this.#tooMany.set(formatTableName(state.name), state.metaData.id);
    const facts = { table: formatTableName(state.name), series: table.rows.size, files: state.files.size };
    log.info(
      { ...facts, ms: Math.round(clock.monotonicMs() - startedMs) },
      'the newest row of every series has been read',
    );
    return table;
  }

  /** A row per series and bundle of files; undefined when there are too many series. */
  async #readFiles(files: readonly DataFile[], { columns }: TableState): Promise<SeriesRows[] | undefined> {
    const all: SeriesRows[] = [];
    for (let start = 0; start < files.length; start += filesAtOnceMax) {
      const rows = await this.#readBundle(files.slice(start, start + filesAtOnceMax), columns);
      if (!rows) return undefined;
      all.push(...rows);
    }
    return all;
  }

  async #readBundle(
    files: readonly DataFile[],
    columns: TableState['columns'],
  ): Promise<SeriesRows[] | undefined> {
    const { dataFiles, duckDb } = this.#options;
    const acquired = await dataFiles.acquire(files);
    try {
      const relation = rowsOfFiles([...acquired.paths.values()], columns);
      return await duckDb.withSession((session) => readNewest(session, relation, columns, this.#seriesMax));
    } finally {
      acquired.release();
    }
  }

  /** Writes down what has changed since the last time, at most every `saveEveryMs` a table; all of it when `isFinal`. */
  async save(isFinal = false): Promise<void> {
    const { clock, log } = this.#options;
    for (const [key, table] of this.#tables) {
      const isDue = isFinal || clock.nowMs() - table.savedAtMs >= saveEveryMs;
      if (table.savedVersion === table.version || !isDue) continue;
      const { tableId, version, rows } = table;
      const [database = '', name = ''] = key.split('.');
      table.savedAtMs = clock.nowMs();
      try {
        await saveLatest(this.#folder, { database, table: name }, { tableId, version, rows });
        table.savedVersion = version;
      } catch (error) {
        log.warn(
          { table: key, reason: messageOf(error) },
          'the newest rows could not be written to data_dir',
        );
      }
    }
  }

  /** Forgets a table, in memory and on disk: it is read anew when it is asked for. */
  async forget(name: TableName): Promise<void> {
    this.#tables.delete(formatTableName(name));
    await forgetLatest(this.#folder, name);
  }

  /** After the last use. */
  async close(): Promise<void> {
    await this.#queue.catch(() => undefined);
    await this.save(true);
    await this.#options.duckDb.close();
  }
}

function emptyRows({ metaData }: TableState): TableRows {
  return { tableId: metaData.id, version: -1, rows: new Map(), savedVersion: -1, savedAtMs: 0 };
}
