/**
 * One query on its way: what it holds, in the order in which it got it, and how it gives that back.
 */
import type { DuckDBResult } from '@duckdb/node-api';
import type { Clock } from '@varve/common/clock.js';
import { Failure, messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { AcquiredFiles, DataFiles } from '../delta/data-files.js';
import type { DataFile, Snapshot } from '../delta/snapshot.js';
import type { Gate } from '../gate.js';
import { bind, planBinding, type Params } from './bind-params.js';
import type { QuerySlot } from './query-database.js';
import { untilAborted } from './query-signal.js';
import { serializeSql } from './serialize-sql.js';
import { isFatal, toSqlFailure } from './sql-errors.js';
import { guardSql } from './sql-guard.js';
import type { TableViews } from './table-views.js';

/** An interrupt that comes between two calls of DuckDB is lost, so that it is repeated. */
const interruptEveryMs = 20;

export interface QueryRunOptions {
  readonly sql: string;
  readonly params: Params;
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
  #tables: readonly Snapshot[] = [];
  #isInTransaction = false;
  #isEnding = false;

  constructor(options: QueryRunOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => void this.#interrupt(), { once: true });
  }

  /** What the query reads: known once it has started. */
  get tables(): readonly Snapshot[] {
    return this.#tables;
  }

  get fileCount(): number {
    return this.#files.length;
  }

  /** @throws Failure; `end` must be called all the same */
  async start(): Promise<DuckDBResult> {
    const { sql, params, slot, snapshots } = this.#options;
    const serialized = await this.call(() => serializeSql(slot.connection, sql));
    const { tables, parameterNames } = guardSql(sql, serialized, snapshots);
    const values = planBinding(parameterNames, params);
    this.#tables = tables;
    for (const snapshot of tables) await this.#showTable(snapshot);
    return await this.call(async () => {
      await slot.connection.run('BEGIN');
      this.#isInTransaction = true;
      const statement = await slot.connection.prepare(sql);
      bind(statement, values);
      return await statement.stream();
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

  /** Which files the query needs is decided here: all of the table, until conditions on `time` narrow them. */
  async #showTable(snapshot: Snapshot): Promise<void> {
    const { dataFiles, views, slot, signal } = this.#options;
    const files = [...snapshot.files.values()];
    const acquired = await untilAborted(dataFiles.acquire(files), signal, (late) => late.release());
    this.#leases.push(acquired);
    this.#files.push(...files);
    await this.call(() => views.show(slot, snapshot, acquired.paths));
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
