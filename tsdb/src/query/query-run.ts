/**
 * One query on its way: what it holds, in the order in which it got it, and how it gives that back.
 */
import type { DuckDBPreparedStatement, DuckDBResult } from '@duckdb/node-api';
import type { Clock } from '@varve/common/clock.js';
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import { Failure, messageOf } from '@varve/common/errors.js';
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
  readonly #leases: AcquiredFiles[] = [];
  readonly #files: DataFile[] = [];
  #isInTransaction = false;
  #isEnding = false;

  constructor(options: QueryRunOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => void this.#interrupt(), { once: true });
  }

  get facts(): Pick<AnswerStats, 'files' | 'bytes' | 'tables'> {
    const { tables, bytes } = this.#options.plan;
    return { files: this.#files, bytes, tables: tables.map(({ snapshot }) => snapshot) };
  }

  /** @throws Failure; `end` must be called all the same */
  async start(): Promise<DuckDBResult> {
    const prepared = await this.#prepare(this.#options.plan.statement.sql);
    return await this.call(() => prepared.stream());
  }

  /** What DuckDB says of it, with the names of objects in place of local files. */
  async explain(prefix: string): Promise<string> {
    const prepared = await this.#prepare(`${prefix} ${this.#options.plan.statement.sql}`);
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
    const { sql } = this.#options.plan.statement;
    const limit = rowsMax === undefined || !Number.isFinite(rowsMax) ? '' : ` LIMIT ${rowsMax}`;
    // What passed the guard is one whole SELECT, and one in parentheses is a table.
    const copy = `COPY (SELECT * FROM (${withoutEnd(sql)}\n)${limit}) TO ${quoteText(path)} (FORMAT parquet, COMPRESSION zstd)`;
    signal.addEventListener('abort', () => void this.#interrupt(), { once: true });
    const prepared = await this.#prepare(copy);
    return (await this.call(() => prepared.run())).rowsChanged;
  }

  async #prepare(sql: string): Promise<DuckDBPreparedStatement> {
    const { slot, plan } = this.#options;
    const { params = [], database = defaultDatabase } = plan.request;
    const values = planBinding(plan.statement.parameterNames, params);
    const preparation: string[] = [];
    try {
      for (const table of plan.tables) preparation.push(await this.#showTable(table));
      if (slot.database !== database) preparation.push(await this.#chooseDatabase(database));
      return await this.call(async () => {
        await slot.connection.run([...preparation.filter((part) => part !== ''), 'BEGIN'].join('; '));
        this.#isInTransaction = true;
        const prepared = await slot.connection.prepare(sql);
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

  /** After the last row. @throws what DuckDB kept to itself (`QueryAnswer` says when) */
  async finish(): Promise<void> {
    const { slot } = this.#options;
    await this.call(async () => {
      // COMMIT alone takes a transaction that has failed for one to roll back, and says nothing.
      await slot.connection.run('SELECT 1; COMMIT');
      this.#isInTransaction = false;
    });
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
      if (this.#isInTransaction) await databaseCalls.run(() => slot.connection.run('ROLLBACK'));
    } catch (error) {
      if (isFatal(error)) this.#options.onFatal();
      log.warn({ reason: messageOf(error) }, 'a query could not be rolled back');
    } finally {
      for (const lease of this.#leases) lease.release();
    }
  }

  async #showTable({ snapshot, files }: PlannedTable): Promise<string> {
    const { dataFiles, views, slot, signal } = this.#options;
    const acquired = await untilAborted(dataFiles.acquire(files), signal, (late) => late.release());
    this.#leases.push(acquired);
    this.#files.push(...files);
    return await views.show(slot, snapshot, [...acquired.paths.values()], (sql) =>
      this.call(() => slot.connection.run(sql)),
    );
  }

  /** Tables of the default database are found from there too, but the guard lets no statement name one. */
  async #chooseDatabase(database: string): Promise<string> {
    const { slot } = this.#options;
    await this.call(() => slot.connection.run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(database)}`));
    slot.database = database;
    return `USE ${quoteName(slot.catalog)}.${quoteName(database)}`;
  }

  #explain(error: unknown): unknown {
    const { signal, plan, onFatal } = this.#options;
    const { sql } = plan.statement;
    if (signal.aborted) return signal.reason;
    if (error instanceof Failure) return error;
    if (isFatal(error)) onFatal();
    const failure = toSqlFailure(error, { sql, keyByPath: this.#keyByPath() });
    if (failure === undefined || sql === plan.request.sql) return failure ?? error;
    // Places in a text that nobody has seen say nothing.
    const places = ['position', 'line', 'column'];
    const facts = Object.fromEntries(
      Object.entries(failure.facts).filter(([name]) => !places.includes(name)),
    );
    const { code, message, hint } = failure;
    return new Failure(code, message, { cause: error, facts, ...(hint !== undefined && { hint }) });
  }

  #keyByPath(): ReadonlyMap<string, string> {
    const localPaths = new Map(this.#leases.flatMap(({ paths }) => [...paths]));
    return new Map(this.#files.map(({ path, key }) => [localPaths.get(path) ?? '', key]));
  }

  async #interrupt(): Promise<void> {
    const { slot, clock } = this.#options;
    while (!this.#isEnding) {
      slot.connection.interrupt();
      await clock.sleep(interruptEveryMs);
    }
  }
}

/** Without the semicolon at the end. */
function withoutEnd(sql: string): string {
  return sql.replace(/[\s;]+$/, '');
}
