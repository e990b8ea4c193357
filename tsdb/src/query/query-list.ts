/**
 * The queries that run and those that ran last, for people who wonder what the server is doing. Parameters are not kept:
 * they are values of somebody's question. Bounds: as many as run, the last `recentMax`, `sqlCharactersMax` of each text.
 */
import { Failure, isFailure } from '@varve/common/errors.js';
import type { QueryPlan } from './query-plan.js';

export interface ListedQuery {
  readonly queryId: string;
  readonly sql: string;
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  /** Since it came, or how long it took. */
  readonly elapsedMs: number;
  readonly files: number;
  readonly bytes: number;
  /** Sent so far. */
  readonly rows: number;
  readonly lane: string;
  readonly code?: string | undefined;
}

const recentMax = 100;
const sqlCharactersMax = 2_000;

interface Entry {
  readonly plan: QueryPlan;
  lane: string;
  /** Without a reason: the query was cancelled. */
  readonly abort: (failure?: Failure) => void;
  isRunning: boolean;
  rowCount: number;
}

export class QueryList {
  readonly #running = new Map<string, Entry>();
  readonly #recent: ListedQuery[] = [];

  add(plan: QueryPlan, lane: string, abort: Entry['abort']): Entry {
    const entry = { plan, lane, abort, isRunning: false, rowCount: 0 };
    this.#running.set(plan.queryId, entry);
    return entry;
  }

  /** Safe to call twice. */
  end({ plan, ...entry }: Entry, elapsedMs: number, error?: unknown): void {
    if (!this.#running.delete(plan.queryId)) return;
    const code = isFailure(error) ? error.code : error === undefined ? undefined : 'internal';
    const state = code === undefined ? 'done' : code === 'query_cancelled' ? 'cancelled' : 'failed';
    this.#recent.unshift({ ...describe({ plan, ...entry }, elapsedMs), state, code });
    this.#recent.length = Math.min(this.#recent.length, recentMax);
  }

  /** One that was answered at once. */
  note(plan: QueryPlan, rowCount: number, elapsedMs: number): void {
    const entry = this.add(plan, 'memory', () => undefined);
    entry.rowCount = rowCount;
    this.end(entry, elapsedMs);
  }

  has({ plan }: Entry): boolean {
    return this.#running.has(plan.queryId);
  }

  /** Which one most likely holds much: what it keeps, it keeps until it sends its first row. */
  suspect(): Entry | undefined {
    const running = [...this.#running.values()].filter(({ isRunning }) => isRunning);
    const oldest = (entries: Entry[]) => entries.toSorted((a, b) => a.plan.startedMs - b.plan.startedMs)[0];
    return oldest(running.filter(({ rowCount }) => rowCount === 0)) ?? oldest(running);
  }

  running(nowMs: number): ListedQuery[] {
    return [...this.#running.values()].map((entry) => describe(entry, nowMs - entry.plan.startedMs));
  }

  /** The last one first. */
  recent(): readonly ListedQuery[] {
    return this.#recent;
  }

  abortAll(reason: () => Failure): void {
    for (const entry of this.#running.values()) entry.abort(reason());
  }

  /** @throws Failure `query_not_found` */
  cancel(queryId: string): void {
    const entry = this.#running.get(queryId);
    if (entry === undefined)
      throw new Failure('query_not_found', `no query ${queryId} is running`, {
        hint: 'GET /api/v1/queries lists those that are',
      });
    entry.abort();
  }
}

function describe({ plan, lane, isRunning, rowCount }: Entry, elapsedMs: number): ListedQuery {
  const { queryId, request, fileCount, bytes } = plan;
  return {
    queryId,
    sql: request.sql.slice(0, sqlCharactersMax),
    state: isRunning ? 'running' : 'waiting',
    elapsedMs: Math.round(elapsedMs),
    files: fileCount,
    bytes,
    rows: rowCount,
    lane,
  };
}
