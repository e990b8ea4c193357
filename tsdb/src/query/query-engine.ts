/**
 * Answers SQL over the tables, each query at one version of each.
 *
 * 1. Its text passes the guard, which says what tables it names; their files are held against its conditions. What comes
 *    out is a plan: whoever knows the answer already, or only wants to know the price, is done here.
 * 2. The query gets a place in its lane, or waits in line for one, or is turned away (`query-lanes.ts`).
 * 3. The files are leased, and views in the query's own catalog show them.
 * 4. DuckDB prepares and starts it; rows are taken batch by batch (`QueryAnswer`), or written to a file (`ExportedFile`).
 * 5. Closing the answer gives everything back, in reverse.
 *
 * A timeout, a client that hangs up, whoever cancels it by its id, and a stop of the program all abort one signal, which
 * interrupts DuckDB.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '@varve/common/clock.js';
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import { isFailure, type Failure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { Histogram, type Registry } from '@varve/common/metrics.js';
import type { DataFiles } from '../delta/data-files.js';
import type { Snapshot, TableCatalog } from '../delta/snapshot.js';
import { Gate } from '../gate.js';
import { planBinding } from './bind-params.js';
import { ExportedFile, type ExportFolder } from './exported-file.js';
import { QueryAnswer } from './query-answer.js';
import { checkOpenPatterns } from './like-patterns.js';
import { MemoryWatch, type ProcessMemory } from './memory-watch.js';
import { expired, pastSnapshots } from './past-snapshots.js';
import { QueryCosts } from './query-costs.js';
import type { QueryDatabase } from './query-database.js';
import { newestTimes, type KnownNewest, type NewestTimes } from './newest-rows.js';
import { laneOf, QueryLanes, type Lane } from './query-lanes.js';
import { QueryList } from './query-list.js';
import { defaultRowsMax, QuestionPlanner, type QueryPlan, type QueryRequest } from './query-plan.js';
import { QueryRun } from './query-run.js';
import { openQuerySignal, stopped } from './query-signal.js';
import { isMissingFile } from './sql-errors.js';
import { Statements } from './statements.js';
import type { TableViews } from './table-views.js';
import { VisibleTables } from './visible-tables.js';

export type { QueryPlan, QueryRequest } from './query-plan.js';

export const defaultTimeoutMs = 60_000;
export const timeoutMsMax = 3_600_000;

export interface QueryEngineOptions {
  readonly catalog: TableCatalog;
  readonly dataFiles: DataFiles;
  readonly views: TableViews;
  readonly exports: ExportFolder;
  /** Absent where nothing is known of newest rows. */
  readonly knownNewest?: KnownNewest;
  /** Makes again, or forgets, what of the above somebody has deleted on this machine. */
  readonly mendLocalFiles: () => Promise<void>;
  /** Called again when a database has failed beyond repair. Must have `insideMax` slots. */
  readonly openDatabase: () => Promise<QueryDatabase>;
  /** Threads of libuv's pool: DuckDB's calls block one each. */
  readonly blockingThreads: number;
  readonly memory: ProcessMemory;
  /** By which the process may grow while queries run. */
  readonly growthBytesMax: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
}

/** How long is waited for a query that was ended before another one is looked at. */
const endMsMax = 5_000;
const endEveryMs = 20;

type Start<Answer> = (parts: {
  run: QueryRun;
  signal: AbortSignal;
  countRows: (count: number) => void;
  release: (error?: unknown) => Promise<void>;
}) => Promise<Answer>;

/** What is given back when a query ends, last one first. */
type Release = () => void | Promise<void>;

export class QueryEngine {
  readonly #options: QueryEngineOptions;
  readonly #seconds: Histogram;
  readonly #lanes: QueryLanes;
  readonly #costs: QueryCosts;
  readonly #parsing = new Gate(1);
  readonly #visibleTables = new VisibleTables();
  readonly #statements = new Statements();
  readonly #planner = new QuestionPlanner();
  readonly #list = new QueryList();
  readonly #memoryWatch: MemoryWatch;
  /** Found once per version of a table. */
  readonly #newest = new WeakMap<Snapshot, NewestTimes>();
  #isStopping = false;
  #database: Promise<QueryDatabase>;

  private constructor(options: QueryEngineOptions) {
    this.#options = options;
    this.#costs = new QueryCosts(options.dataFiles);
    this.#lanes = new QueryLanes(options.clock, options.blockingThreads);
    this.#memoryWatch = new MemoryWatch({ ...options, endOne: (failure) => this.#endLargest(failure) });
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
    return { running: this.#lanes.running, waiting: this.#lanes.waiting };
  }

  /** What runs, what ran last, and a way to end the former. */
  get queries(): Pick<QueryList, 'cancel' | 'recent'> & { running: () => ReturnType<QueryList['running']> } {
    return {
      running: () => this.#list.running(this.#options.clock.monotonicMs()),
      recent: () => this.#list.recent(),
      cancel: (queryId) => this.#list.cancel(queryId),
    };
  }

  /** @throws Failure `stopping`, and whatever the guard refuses */
  async plan(request: QueryRequest): Promise<QueryPlan> {
    const { catalog, clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const { sql, params = [], database = defaultDatabase, isVisible } = request;
    if (this.#isStopping) throw stopped();
    const { parser } = await this.#database;
    const parse = <T>(work: () => Promise<T>) => this.#parsing.run(work);
    const read = (snapshots: readonly Snapshot[]) =>
      this.#statements.read(sql, database, snapshots, parser, parse);
    let statement = await read(this.#visibleTables.of(catalog.current(), isVisible));
    if (request.asOf) statement = await read(await pastSnapshots(catalog, statement, request.asOf));
    planBinding(statement.parameterNames, params);
    if (checkOpenPatterns(statement.patterns, params)) statement = statement.bounded ?? statement;
    const newestOf = (snapshot: Snapshot) => this.#newestTimes(snapshot);
    const planned = this.#planner.plan(statement, request, clock.nowMs(), newestOf);
    return { ...planned, queryId: randomUUID(), request, statement, startedMs };
  }

  /** As `run` of what `plan` says. */
  async query(request: QueryRequest, client: AbortSignal): Promise<QueryAnswer> {
    return await this.run(await this.plan(request), client);
  }

  /**
   * Starts a query. The answer must be closed.
   * @param client aborts when nobody waits for the answer any more
   * @throws Failure `overloaded`, `stopping`, `query_timeout`, `query_cancelled`, `memory_limit_exceeded`, and what the
   * store says about data files
   */
  async run(plan: QueryPlan, client: AbortSignal): Promise<QueryAnswer> {
    return await this.#begin(plan, client, async ({ run, signal, release, countRows }) => {
      const result = await run.start();
      return new QueryAnswer({
        result,
        rowsMax: plan.request.rowsMax ?? defaultRowsMax,
        signal,
        queryId: plan.queryId,
        stats: () => ({ elapsedMs: this.elapsedMs(plan), ...run.facts }),
        call: (work) => run.call(work),
        isWhole: () => run.isWhole(),
        countRows,
        release,
      });
    });
  }

  /**
   * Runs a query and writes its answer to a Parquet file. The file must be closed.
   * @throws as `run`, and Failure `result_too_large`
   */
  async export(plan: QueryPlan, client: AbortSignal, bytesMax?: number): Promise<ExportedFile> {
    const { exports, clock } = this.#options;
    return await this.#begin(plan, client, async ({ run, signal, release }) => {
      const path = exports.newPath();
      const watch = exports.watch(path, clock, bytesMax);
      try {
        const rowCount = await run.copyTo(
          path,
          plan.request.rowsMax,
          AbortSignal.any([signal, watch.signal]),
        );
        await watch.lookAgain();
        return await ExportedFile.open({ path, rowCount, queryId: plan.queryId, release });
      } catch (error) {
        await exports.remove(path);
        throw watch.signal.aborted ? watch.signal.reason : error;
      } finally {
        watch.close();
      }
    });
  }

  /** How DuckDB goes about it; `analyze` runs it. */
  async explain(plan: QueryPlan, kind: 'plan' | 'analyze', client: AbortSignal): Promise<object> {
    return await this.#begin(plan, client, async ({ run, release }) => {
      const text = await run.explain(
        kind === 'analyze' ? 'EXPLAIN (ANALYZE, FORMAT json)' : 'EXPLAIN (FORMAT json)',
      );
      await release();
      return { query_id: plan.queryId, explain: kind, plan: JSON.parse(text) as unknown };
    });
  }

  /** What `run` would read, and about how long it would take. May look at footers of files. */
  async estimate(plan: QueryPlan): Promise<object> {
    return await this.#costs.estimate(plan);
  }

  /** Ends the queries that run and waits for them. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#list.abortAll(stopped);
    await (await this.#database).close();
  }

  /** Of a plan that needed no query. */
  noteAnswered(plan: QueryPlan, rowCount: number): void {
    const elapsedMs = this.elapsedMs(plan);
    this.#seconds.observe(elapsedMs / 1_000);
    this.#list.note(plan, rowCount, elapsedMs);
  }

  elapsedMs({ startedMs }: QueryPlan): number {
    return this.#options.clock.monotonicMs() - startedMs;
  }

  #newestTimes(snapshot: Snapshot): NewestTimes | undefined {
    const known = this.#newest.get(snapshot);
    if (known) return known;
    const rows = this.#options.knownNewest?.(snapshot);
    if (!rows) return undefined;
    const times = newestTimes(rows);
    this.#newest.set(snapshot, times);
    return times;
  }

  /** Once more where files that can be made or fetched again were gone (DESIGN I12). */
  async #begin<Answer>(plan: QueryPlan, client: AbortSignal, start: Start<Answer>): Promise<Answer> {
    try {
      return await this.#attempt(plan, client, start).catch(async (error: unknown) => {
        if (!isMissingFile(error)) throw error;
        await this.#options.mendLocalFiles();
        return await this.#attempt(plan, client, start);
      });
    } catch (error) {
      throw plan.request.asOf && isFailure(error, 'object_missing') ? expired(error) : error;
    }
  }

  async #attempt<Answer>(plan: QueryPlan, client: AbortSignal, start: Start<Answer>): Promise<Answer> {
    if (this.#isStopping) throw stopped();
    const { clock } = this.#options;
    const { timeoutMs = defaultTimeoutMs } = plan.request;
    const ender = openQuerySignal({ client, timeoutMs, clock });
    const entry = this.#list.add(plan, laneOf(plan.request, plan.bytes), ender.abort);
    const releases: Release[] = [
      () => this.#seconds.observe(this.elapsedMs(plan) / 1_000),
      () => ender.close(),
    ];
    const release = async (error?: unknown) => {
      await releaseAll(releases);
      this.#list.end(entry, this.elapsedMs(plan), error);
    };
    try {
      const lane = (entry.lane = await this.#costs.laneOf(plan, ender.signal));
      releases.push(await this.#lanes.enter(lane, ender.signal));
      entry.isRunning = true;
      releases.push(this.#memoryWatch.enter());
      const run = await this.#openRun(plan, lane, ender.signal, releases);
      const countRows = (count: number) => (entry.rowCount = count);
      return await start({ run, signal: ender.signal, countRows, release });
    } catch (error) {
      await release(error);
      throw error;
    }
  }

  async #endLargest(failure: Failure): Promise<void> {
    const { clock, log } = this.#options;
    const suspect = this.#list.suspect();
    if (suspect === undefined) return;
    log.warn({ query_id: suspect.plan.queryId }, failure.message);
    suspect.abort(failure);
    const untilMs = clock.monotonicMs() + endMsMax;
    while (this.#list.has(suspect) && clock.monotonicMs() < untilMs) await clock.sleep(endEveryMs);
  }

  async #openRun(plan: QueryPlan, lane: Lane, signal: AbortSignal, releases: Release[]): Promise<QueryRun> {
    const database = await this.#database;
    const slot = database.takeSlot(plan.request.database, plan.statement.sql);
    releases.push(() => database.giveBack(slot));
    const run = new QueryRun({
      ...this.#options,
      plan,
      slot,
      signal,
      databaseCalls: this.#lanes.calls(lane),
      onFatal: () => this.#replace(database),
    });
    releases.push(() => run.end());
    return run;
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
