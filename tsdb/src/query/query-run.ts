/**
 * One query on its way: what it holds, in the order in which it got it, and how it gives that back.
 */
import { ResultReturnType, type DuckDBPreparedStatement, type DuckDBResult } from '@duckdb/node-api';
import type { Clock } from '@varve/common/clock.js';
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure, messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { AcquiredFiles, DataFiles } from '../delta/data-files.js';
import type { DataFile } from '../delta/snapshot.js';
import { quoteName, quoteText } from '../delta/sql-text.js';
import type { Gate } from '../gate.js';
import { bind, planBinding } from './bind-params.js';
import type { AnswerStats } from './query-answer.js';
import type { QuerySlot } from './query-database.js';
import type { PlannedTable, QueryPlan } from './query-plan.js';
import { untilAborted } from './query-signal.js';
import { isFatal, toSqlFailure } from './sql-errors.js';
import type { TableViews } from './table-views.js';

/** An interrupt that comes between two calls of DuckDB is lost, so that it is repeated. */
const interruptEveryMs = 20;

export interface QueryRunOptions {
  readonly plan: QueryPlan;
  readonly slot: QuerySlot;
  readonly dataFiles: DataFiles;
  readonly views: TableViews;
  readonly databaseCalls: Gate;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Logger;
  /** DuckDB is beyond repair. */
  readonly onFatal: () => void;
}

export class QueryRun {
  readonly #options: QueryRunOptions;
  /** Of each table. */
  readonly #leases: { readonly files: readonly DataFile[]; readonly acquired: AcquiredFiles }[] = [];
  /** Rows that have not been taken, which keep files open. */
  #open: DuckDBResult | undefined;
  #toDestroy: DuckDBPreparedStatement | undefined;
  /** Of the statement. */
  #sql: string;
  /** Before it in the text that DuckDB gets. */
  #prefix = '';
  #isEnding = false;

  constructor(options: QueryRunOptions) {
    this.#options = options;
    this.#sql = options.plan.statement.sql;
    options.signal.addEventListener('abort', () => void this.#interrupt(), { once: true });
  }

  get facts(): Pick<AnswerStats, 'files' | 'bytes' | 'tables'> {
    const { tables } = this.#options.plan;
    return {
      files: this.#leases.flatMap(({ files }) => files),
      bytes: this.#leases.reduce((sum, { acquired }) => sum + acquired.bytes, 0),
      tables: tables.map(({ snapshot }) => snapshot),
    };
  }

  /** @throws Failure; `end` must be called all the same */
  async start(): Promise<DuckDBResult> {
    const { isRepeatable, tables } = this.#options.plan.statement;
    const prepared = await this.#prepare((sql) => sql, isRepeatable && tables.length > 0);
    try {
      // Set before anybody can be told that the query was cancelled.
      return await this.call(async () => (this.#open = await prepared.stream()));
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  /**
   * After the last row. A query that fails after its first rows looks like one that is done, to all but this: `fetchChunk`
   * yields nothing for both, and the bindings hand out no error.
   */
  isWhole(): boolean {
    const isWhole = this.#open?.returnType !== ResultReturnType.INVALID;
    this.#open = undefined;
    if (!isWhole) this.#forget();
    return isWhole;
  }

  /** Nobody knows in what state a failure left the statement. */
  #forget(): void {
    const { slot, plan } = this.#options;
    slot.statements.forget(databaseOf(plan), this.#sql);
  }

  /** What DuckDB says of it, with the names of objects in place of local files. */
  async explain(prefix: string): Promise<string> {
    this.#prefix = `${prefix} `;
    const prepared = await this.#prepare((sql) => this.#prefix + sql);
    const reader = await this.call(() => prepared.runAndReadAll());
    let text = reader
      .getRows()
      .map((row) => String(row[1]))
      .join('\n');
    for (const [path, key] of this.#keyByPath()) text = text.replaceAll(path, key);
    return text;
  }

  /**
   * Writes all rows to a Parquet file, at most `rowsMax`.
   * @returns how many
   */
  async copyTo(path: string, rowsMax: number | undefined, signal: AbortSignal): Promise<number> {
    this.#prefix = 'COPY (SELECT * FROM (';
    const limit = rowsMax === undefined || !Number.isFinite(rowsMax) ? '' : ` LIMIT ${rowsMax}`;
    // What passed the guard is one whole SELECT, and one in parentheses is a table.
    const copyOf = (sql: string) =>
      `${this.#prefix}${withoutEnd(sql)}\n)${limit}) TO ${quoteText(path)} (FORMAT parquet, COMPRESSION zstd)`;
    signal.addEventListener('abort', () => void this.#interrupt(), { once: true });
    const prepared = await this.#prepare(copyOf);
    return (await this.call(() => prepared.run())).rowsChanged;
  }

  /** @param textOf what DuckDB gets of a statement's text */
  async #prepare(textOf: (sql: string) => string, isKept = false): Promise<DuckDBPreparedStatement> {
    const { plainSql } = this.#options.plan.statement;
    try {
      return await this.#prepareText(textOf, isKept);
    } catch (error) {
      if (this.#sql === plainSql || !isFailure(error, 'sql_invalid')) throw error;
      // What is wrong is said of the text as it was written.
      this.#sql = plainSql;
      for (const { acquired } of this.#leases.splice(0)) acquired.release();
      return await this.#prepareText(textOf, isKept);
    }
  }

  async #prepareText(textOf: (sql: string) => string, isKept: boolean): Promise<DuckDBPreparedStatement> {
    const { slot, plan } = this.#options;
    const { params = [] } = plan.request;
    const database = databaseOf(plan);
    const values = planBinding(plan.statement.parameterNames, params);
    const preparation: string[] = [];
    try {
      for (const table of plan.tables) preparation.push(await this.#showTable(table));
      if (slot.database !== database) preparation.push(await this.#chooseDatabase(database));
      const toRun = preparation.filter((part) => part !== '').join('; ');
      return await this.call(async () => {
        if (toRun !== '') await slot.connection.run(toRun);
        const prepared = isKept
          ? await slot.statements.keep(database, this.#sql)
          : (this.#toDestroy = await slot.connection.prepare(textOf(this.#sql)));
        bind(prepared, values);
        return prepared;
      });
    } catch (error) {
      // Nobody knows what of the preparation was run.
      slot.views.clear();
      slot.database = undefined;
      throw error;
    }
  }

  /** Calls DuckDB within the bounds on such calls, and says what its errors mean. */
  async call<T>(work: () => Promise<T>): Promise<T> {
    const { databaseCalls, signal } = this.#options;
    try {
      const result = await databaseCalls.run(work, signal);
      signal.throwIfAborted();
      return result;
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** Closes the result and lets go of the files. Never throws. */
  async end(): Promise<void> {
    this.#isEnding = true;
    const { slot, databaseCalls, log } = this.#options;
    try {
      // The next statement of a connection ends the one before.
      if (this.#open) await databaseCalls.run(() => slot.connection.run('SELECT 1'));
    } catch (error) {
      if (isFatal(error)) this.#options.onFatal();
      log.warn({ reason: messageOf(error) }, 'a query could not be ended');
    } finally {
      this.#toDestroy?.destroySync();
      for (const { acquired } of this.#leases) acquired.release();
    }
  }

  async #showTable(table: PlannedTable): Promise<string> {
    const { files, wanted } = table;
    const { dataFiles, views, slot, signal } = this.#options;
    const acquiring = dataFiles.acquireUnseen(files, wanted);
    const acquired =
      acquiring instanceof Promise
        ? await untilAborted(acquiring, signal, (late) => late.release())
        : acquiring;
    this.#leases.push({ files: files.filter(({ path }) => acquired.paths.has(path)), acquired });
    const run = (sql: string) => this.call(() => slot.connection.run(sql));
    return await views.show(slot, table, acquired.paths, run);
  }

  /** Tables of the default database are found from there too, but the guard lets no statement name one. */
  async #chooseDatabase(database: string): Promise<string> {
    const { slot } = this.#options;
    await this.call(() => slot.connection.run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(database)}`));
    slot.database = database;
    return `USE ${quoteName(slot.catalog)}.${quoteName(database)}`;
  }

  #explain(error: unknown): unknown {
    const { signal, plan, dataFiles, onFatal } = this.#options;
    const sql = this.#sql;
    if (signal.aborted) return signal.reason;
    if (error instanceof Failure) return error;
    if (isFatal(error)) onFatal();
    const failure = toSqlFailure(error, { sql, prefix: this.#prefix, keyByPath: this.#keyByPath() });
    if (failure?.code === 'object_corrupt') dataFiles.doubt(String(failure.facts['key']));
    if (failure === undefined || sql === plan.request.sql) return failure ?? error;
    // Places in a text that nobody has seen say nothing.
    const places = ['position', 'line', 'column'];
    const facts = Object.fromEntries(
      Object.entries(failure.facts).filter(([name]) => !places.includes(name)),
    );
    const { code, message, hint } = failure;
    return new Failure(code, message, { cause: error, facts, ...(hint !== undefined && { hint }) });
  }

  /** A path that another one begins with stands behind it. */
  #keyByPath(): ReadonlyMap<string, string> {
    const keys = this.#leases.flatMap(({ files, acquired }) =>
      files.map(({ path, key }): [string, string] => [acquired.paths.get(path) ?? '', key]),
    );
    return new Map(keys.sort(([left], [right]) => right.length - left.length));
  }

  async #interrupt(): Promise<void> {
    const { slot, clock } = this.#options;
    while (!this.#isEnding) {
      slot.connection.interrupt();
      await clock.sleep(interruptEveryMs);
    }
  }
}

/** The schema that stands for tables without one. */
function databaseOf({ request: { database = defaultDatabase } }: QueryPlan): string {
  return database;
}

/** Without the semicolon at the end. */
function withoutEnd(sql: string): string {
  return sql.replace(/[\s;]+$/, '');
}
