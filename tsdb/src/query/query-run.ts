/**
 * One query on its way: what it holds, in the order in which it got it, and how it gives that back.
 */
import type { DuckDBResult } from '@duckdb/node-api';
import type { Clock } from '@varve/common/clock.js';
import { Failure, messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { AcquiredFiles, DataFiles } from '../delta/data-files.js';
import type { DataFile, Snapshot } from '../delta/snapshot.js';
import { quoteName } from '../delta/sql-text.js';
import type { Gate } from '../gate.js';
import { bind, planBinding, type Params } from './bind-params.js';
import { planFiles } from './plan-files.js';
import type { QuerySlot } from './query-database.js';
import { untilAborted } from './query-signal.js';
import { isFatal, toSqlFailure } from './sql-errors.js';
import { prunableTags, type Statement, type Statements, type StatementTable } from './statements.js';
import type { TableViews } from './table-views.js';

/** An interrupt that comes between two calls of DuckDB is lost, so that it is repeated. */
const interruptEveryMs = 20;

export interface QueryRunOptions {
  readonly sql: string;
  readonly params: Params;
  /** Where tables are that stand without one. */
  readonly database: string;
  readonly statements: Statements;
  readonly slot: QuerySlot;
  readonly snapshots: readonly Snapshot[];
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
  #statement: Statement | undefined;
  #isInTransaction = false;
  #isEnding = false;

  constructor(options: QueryRunOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => void this.#interrupt(), { once: true });
  }

  /** What the query reads: known once it has started. */
  get tables(): readonly Snapshot[] {
    return this.#statement?.tables.map(({ snapshot }) => snapshot) ?? [];
  }

  get files(): readonly DataFile[] {
    return this.#files;
  }

  /** @throws Failure; `end` must be called all the same */
  async start(): Promise<DuckDBResult> {
    const { sql, params, database, slot, snapshots, statements } = this.#options;
    const call = <T>(work: () => Promise<T>) => this.call(work);
    const statement = await statements.read(sql, database, snapshots, slot.connection, call);
    this.#statement = statement;
    const values = planBinding(statement.parameterNames, params);
    const preparation: string[] = [];
    try {
      for (const table of statement.tables) preparation.push(await this.#showTable(table));
      if (slot.database !== database) preparation.push(await this.#chooseDatabase());
      return await this.call(async () => {
        await slot.connection.run([...preparation.filter((part) => part !== ''), 'BEGIN'].join('; '));
        this.#isInTransaction = true;
        const prepared = await slot.connection.prepare(sql);
        bind(prepared, values);
        return await prepared.stream();
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

  async #showTable({ snapshot, conditions }: StatementTable): Promise<string> {
    const { dataFiles, views, slot, signal, params, clock } = this.#options;
    const files = planFiles(conditions, snapshot.files.values(), {
      tags: prunableTags(snapshot.columns),
      context: { params, nowUs: clock.nowMs() * 1_000 },
    });
    const acquired = await untilAborted(dataFiles.acquire(files), signal, (late) => late.release());
    this.#leases.push(acquired);
    this.#files.push(...files);
    return await views.show(slot, snapshot, [...acquired.paths.values()], (sql) =>
      this.call(() => slot.connection.run(sql)),
    );
  }

  /** Tables of the default database are found from there too, but the guard lets no statement name one. */
  async #chooseDatabase(): Promise<string> {
    const { slot, database } = this.#options;
    await this.call(() => slot.connection.run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(database)}`));
    slot.database = database;
    return `USE ${quoteName(slot.catalog)}.${quoteName(database)}`;
  }

  #explain(error: unknown): unknown {
    const { signal, sql, onFatal } = this.#options;
    if (signal.aborted) return signal.reason;
    if (error instanceof Failure) return error;
    if (isFatal(error)) onFatal();
    return toSqlFailure(error, { sql, keyByPath: this.#keyByPath() }) ?? error;
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
