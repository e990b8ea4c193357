/**
 * The aggregates of all streams, for the stager: what a window adds to them, and what of them is written with it.
 *
 * In the live lane windows stay open over shipments (`stream-aggregator.ts`). What comes in the backlog's lane is old, as a
 * rule, and everything in it is written at once: partials add up, whichever lane they come by.
 */
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import type { StreamConfig } from '../config.js';
import type { Router } from '../decode/router.js';
import type { BatchColumns } from '../batch/table-batch.js';
import type { AggregateState, EdgeLog, LogRange } from '../log/edge-log.js';
import { liveLane, type ShippingLane } from '../ship/plan-lanes.js';
import { readWindow } from '../ship/read-window.js';
import type { Window } from '../ship/window.js';
import { aggregateRows } from './aggregate-rows.js';
import { StreamAggregator, type AggregateBatch, type AggregatePlan } from './stream-aggregator.js';

export interface AggregationOptions {
  readonly streams: readonly StreamConfig[];
  readonly opened: AggregateState;
  /** Of the rows of open windows, in memory. */
  readonly openBytesMax: number;
}

/** Partials of one table, ready to be written. */
export interface AggregateOutput {
  readonly database: string;
  readonly name: string;
  readonly columns: BatchColumns;
  readonly facts: AggregateFacts;
}

export interface AggregationPlan {
  readonly outputs: readonly AggregateOutput[];
  /** To be durable with the outputs; undefined: as before. */
  readonly state: AggregateState | undefined;
  /** The plan is durable. */
  readonly accept: () => void;
}

interface Aggregated {
  readonly stream: StreamConfig;
  readonly aggregator: StreamAggregator;
}

export class Aggregation {
  readonly #all: readonly Aggregated[];
  readonly #opened: AggregateState;
  readonly #openBytesMax: number;

  constructor({ streams, opened, openBytesMax }: AggregationOptions) {
    this.#opened = opened;
    this.#openBytesMax = openBytesMax;
    this.#all = streams
      .filter(({ aggregates }) => aggregates.length > 0)
      .map((stream) => ({ stream, aggregator: aggregatorOf(stream, opened) }));
  }

  /** Reads again from the log what was in open windows when the process before ended. */
  async restore(log: Pick<EdgeLog, 'read'>, router: Router): Promise<void> {
    if (this.#all.length === 0) return;
    for (const range of this.#opened.openRanges) {
      const window = await readWindow(log, router, range);
      for (const { stream, aggregator } of this.#all) {
        const columns = columnsOf(window, stream);
        if (columns) aggregator.restore({ ...range, columns });
      }
    }
  }

  /** When the next window may be written though nothing comes, ms since 1970; undefined: none is open. */
  get nextDueMs(): number | undefined {
    const times = this.#all.flatMap(({ aggregator }) => aggregator.nextDueMs ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** `way` tells the partials of this agent and epoch from those of others. */
  plan(lane: ShippingLane, window: Window, way: string, nowMs: number): AggregationPlan {
    const part = `${way}/${lane}-${window.lastSeq}`;
    return lane === liveLane ? this.#planLive(window, part, nowMs) : this.#planBacklog(window, part);
  }

  #planLive(window: Window, part: string, nowMs: number): AggregationPlan {
    const range = { firstSeq: window.firstSeq, endSeq: window.lastSeq + 1 };
    const openBytes = this.#all.reduce((sum, { aggregator }) => sum + aggregator.openBytes, 0);
    const isOverfull = openBytes + window.estimatedBytes > this.#openBytesMax;
    const plans = this.#all.map(({ stream, aggregator }) => {
      const columns = columnsOf(window, stream);
      const rows = columns && { ...range, columns };
      return { stream, aggregator, plan: aggregator.plan({ rows, nowMs, isOverfull, part }) };
    });
    return {
      outputs: plans.flatMap(({ stream, plan }) => plan.batches.map((batch) => outputOf(stream, batch))),
      state: plans.length === 0 ? undefined : stateOf(plans),
      accept: () => {
        for (const { aggregator, plan } of plans) aggregator.accept(plan);
      },
    };
  }

  #planBacklog(window: Window, part: string): AggregationPlan {
    const outputs = this.#all.flatMap(({ stream }) => {
      const columns = columnsOf(window, stream);
      if (!columns) return [];
      return stream.aggregates.map((aggregate) =>
        outputOf(stream, { aggregate, columns: aggregateRows(columns, aggregate.everyMs * 1_000, part) }),
      );
    });
    return { outputs, state: undefined, accept: () => undefined };
  }
}

function aggregatorOf(stream: StreamConfig, { closedMs }: AggregateState): StreamAggregator {
  const known = stream.aggregates.flatMap(({ table }): [string, number][] => {
    const ms = closedMs.get(tableKey(stream, table));
    return ms === undefined ? [] : [[table, ms]];
  });
  return new StreamAggregator(stream.aggregates, new Map(known));
}

function columnsOf(window: Window, { database, name }: StreamConfig): BatchColumns | undefined {
  const batch = window.batches.get(`${database}.${name}`)?.batch;
  return batch && batch.rowCount > 0 ? batch.finish() : undefined;
}

function outputOf({ database }: StreamConfig, { aggregate, columns }: AggregateBatch): AggregateOutput {
  return { database, name: aggregate.table, columns, facts: { everyMs: aggregate.everyMs } };
}

function stateOf(plans: readonly { stream: StreamConfig; plan: AggregatePlan }[]): AggregateState {
  const closedMs = plans.flatMap(({ stream, plan }) =>
    [...plan.closedMs].map(([table, ms]): [string, number] => [tableKey(stream, table), ms]),
  );
  return { closedMs: new Map(closedMs), openRanges: joinRanges(plans.flatMap(({ plan }) => plan.open)) };
}

/** What the aggregates' shipments say of themselves, by `database.table`. */
export function factsByTable(streams: readonly StreamConfig[]): ReadonlyMap<string, AggregateFacts> {
  return new Map(
    streams.flatMap((stream) =>
      stream.aggregates.map(({ table, everyMs }): [string, AggregateFacts] => [
        tableKey(stream, table),
        { everyMs },
      ]),
    ),
  );
}

function tableKey({ database }: StreamConfig, table: string): string {
  return `${database}.${table}`;
}

/** In order, those that touch or overlap as one. */
export function joinRanges(ranges: readonly LogRange[]): LogRange[] {
  const joined: LogRange[] = [];
  for (const { firstSeq, endSeq } of ranges.toSorted((a, b) => a.firstSeq - b.firstSeq)) {
    const last = joined.at(-1);
    if (last && firstSeq <= last.endSeq)
      joined[joined.length - 1] = { firstSeq: last.firstSeq, endSeq: Math.max(last.endSeq, endSeq) };
    else joined.push({ firstSeq, endSeq });
  }
  return joined;
}
