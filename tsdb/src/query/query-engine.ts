/**
 * Answers SQL over the tables, each query at one version of each.
 *
 * 1. A query gets a place, or waits in line for one, or is turned away.
 * 2. Its text passes the guard, which says what tables it names.
 * 3. The files of these are leased, and views in the query's own catalog show them.
 * 4. DuckDB prepares and starts it; rows are taken batch by batch (`QueryAnswer`).
 * 5. Closing the answer gives everything back, in reverse.
 *
 * A timeout, a client that hangs up and a stop of the program all abort one signal, which interrupts DuckDB.
 */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Clock } from '@varve/common/clock.js';
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { Histogram, type Registry } from '@varve/common/metrics.js';
import type { DataFiles } from '../delta/data-files.js';
import type { TableCatalog } from '../delta/snapshot.js';
import { Gate } from '../gate.js';
import type { Params } from './bind-params.js';
import { QueryAnswer } from './query-answer.js';
import type { QueryDatabase } from './query-database.js';
import { QueryRun } from './query-run.js';
import { openQuerySignal } from './query-signal.js';
import { Statements } from './statements.js';
import type { TableViews } from './table-views.js';

export const defaultRowsMax = 10_000;
/** More than this is an export: ask for it in pieces of time. */
export const rowsMaxMax = 1_000_000;
export const defaultTimeoutMs = 60_000;
export const timeoutMsMax = 600_000;

/** DuckDB works at one query with all cores; more at a time only share them. */
export const queriesRunningMax = 8;
export const queriesWaitingMax = 64;
/** libuv has four threads for calls that block, DuckDB's and the file system's. One stays free for files. */
const databaseCallsMax = 3;

export interface QueryRequest {
  readonly sql: string;
  readonly params?: Params;
  /** Where tables are that stand without one. */
  readonly database?: string;
  /** At most `rowsMaxMax`. */
  readonly rowsMax?: number;
  /** From now to the last row taken, waiting in line included. At most `timeoutMsMax`. */
  readonly timeoutMs?: number;
}

export interface QueryEngineOptions {
  readonly catalog: TableCatalog;
  readonly dataFiles: DataFiles;
  readonly views: TableViews;
  /** Called again when a database has failed beyond repair. Must have `queriesRunningMax` slots. */
  readonly openDatabase: () => Promise<QueryDatabase>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
}

/** What is given back when a query ends, last one first. */
type Release = () => void | Promise<void>;

export class QueryEngine {
  readonly #options: QueryEngineOptions;
  readonly #seconds: Histogram;
  readonly #places = new Gate(queriesRunningMax, queriesWaitingMax);
  readonly #databaseCalls = new Gate(databaseCallsMax);
  readonly #statements = new Statements();
  readonly #stopping = new AbortController();
  #database: Promise<QueryDatabase>;

  private constructor(options: QueryEngineOptions) {
    this.#options = options;
    // Every query listens; Node takes more than ten for a leak.
    setMaxListeners(queriesRunningMax + queriesWaitingMax, this.#stopping.signal);
    this.#database = options.openDatabase();
    this.#seconds = new Histogram({
      name: 'varve_tsdb_query_seconds',
      help: 'Seconds from the arrival of a query to its last row, failed ones included',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers: [options.registry],
    });
  }

  static async open(options: QueryEngineOptions): Promise<QueryEngine> {
    const engine = new QueryEngine(options);
    await engine.#database;
    return engine;
  }

  get status(): { running: number; waiting: number } {
    return { running: this.#places.inside, waiting: this.#places.waiting };
  }

  /**
   * Starts a query. The answer must be closed.
   * @param client aborts when nobody waits for the answer any more
   * @throws Failure `overloaded`, `stopping`, `query_timeout`, `query_cancelled`, `memory_limit_exceeded`, whatever the
   * guard refuses, and what the store says about data files
   */
  async query(request: QueryRequest, client: AbortSignal): Promise<QueryAnswer> {
    if (this.#places.isFull) throw overloaded();
    const startedMs = this.#options.clock.monotonicMs();
    const elapsedMs = () => this.#options.clock.monotonicMs() - startedMs;
    const releases: Release[] = [() => this.#seconds.observe(elapsedMs() / 1_000)];
    try {
      return await this.#start(request, client, elapsedMs, releases);
    } catch (error) {
      await releaseAll(releases);
      throw error;
    }
  }

  /** Ends the queries that run and waits for them. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    await (await this.#database).close();
  }

  async #start(
    request: QueryRequest,
    client: AbortSignal,
    elapsedMs: () => number,
    releases: Release[],
  ): Promise<QueryAnswer> {
    const { catalog, clock } = this.#options;
    const { rowsMax = defaultRowsMax, timeoutMs = defaultTimeoutMs } = request;
    const ender = openQuerySignal({ client, stopping: this.#stopping.signal, timeoutMs, clock });
    const { signal } = ender;
    releases.push(() => ender.close());
    releases.push(await this.#places.enter(signal));
    const database = await this.#database;
    const slot = database.takeSlot();
    releases.push(() => database.giveBack(slot));
    const run = new QueryRun({
      ...this.#options,
      sql: request.sql,
      params: request.params ?? [],
      database: request.database ?? defaultDatabase,
      statements: this.#statements,
      slot,
      signal,
      snapshots: catalog.current(),
      databaseCalls: this.#databaseCalls,
      onFatal: () => this.#replace(database),
    });
    releases.push(() => run.end());
    const result = await run.start();
    return new QueryAnswer({
      result,
      rowsMax,
      signal,
      queryId: randomUUID(),
      stats: () => ({ elapsedMs: elapsedMs(), files: run.files, tables: run.tables }),
      call: (work) => run.call(work),
      finish: () => run.finish(),
      release: () => releaseAll(releases),
    });
  }

  /** After a fatal error DuckDB answers nothing any more; other queries must not suffer for the one that caused it. */
  #replace(broken: QueryDatabase): void {
    const { log, openDatabase } = this.#options;
    if (broken.isBroken) return;
    broken.isBroken = true;
    log.error('DuckDB has failed beyond repair and is opened again');
    this.#database = openDatabase();
    // Whoever needs it gets the error.
    this.#database.catch(() => undefined);
    void broken.close();
  }
}

async function releaseAll(releases: Release[]): Promise<void> {
  for (const release of releases.splice(0).reverse()) await release();
}

function overloaded(): Failure {
  return new Failure(
    'overloaded',
    `${queriesRunningMax} queries are running and ${queriesWaitingMax} are waiting`,
    { hint: 'ask again in a moment' },
  );
}
