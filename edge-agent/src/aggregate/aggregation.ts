/**
 * The aggregates of all streams, for the stager: what a window adds to them, and what of them is written with it.
 *
 * In the live lane windows stay open over shipments (`stream-aggregator.ts`). What comes in the backlog's lane is old, as a
 * rule, and everything in it is written at once: partials add up, whichever lane they come by.
 */
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import type { FieldType } from '@varve/common/contract/columns.js';
import type { OpenBatch } from '../decode/append-rows.js';
import { fieldRulesOf, tableOf, type StreamConfig } from '../decode/stream-config.js';
import type { Router } from '../decode/router.js';
import type { BatchColumns } from '../batch/table-batch.js';
import type { AggregateRecipe, AggregateState, EdgeLog, LogRange, OutboxEntry } from '../log/edge-log.js';
import { joinRanges, liveLane, type ShippingLane } from '../ship/plan-lanes.js';
import { readWindow } from '../ship/read-window.js';
import type { Window } from '../ship/window.js';
import type { AggregateConfig } from './aggregate-config.js';
import { cook, StreamAggregator, type AggregateBatch, type AggregatePlan } from './stream-aggregator.js';

export interface AggregationOptions {
  readonly streams: readonly StreamConfig[];
  readonly opened: AggregateState;
  /** Of the rows of open windows, in memory. */
  readonly openBytesMax: number;
}

/** Partials of one table, ready to be written. */
export interface AggregateOutput {
  readonly database: string;
  readonly table: string;
  readonly columns: BatchColumns;
  readonly facts: AggregateFacts;
  readonly recipe: AggregateRecipe;
}

export interface AggregationPlan {
  readonly outputs: readonly AggregateOutput[];
  /** To be durable with the outputs; undefined: as before. */
  readonly state: AggregateState | undefined;
  /** The plan is durable. */
  readonly accept: () => void;
}

/** A stream that has aggregates, and one table. */
interface AggregatedStream {
  readonly database: string;
  readonly table: string;
  readonly aggregates: readonly AggregateConfig[];
  readonly declaredTypes: ReadonlyMap<string, FieldType>;
}

interface Aggregated {
  readonly stream: AggregatedStream;
  readonly aggregator: StreamAggregator;
}

export class Aggregation {
  readonly #all: readonly Aggregated[];
  readonly #opened: AggregateState;
  readonly #openBytesMax: number;
  readonly #droppedTables: ReadonlySet<string>;

  constructor({ streams, opened, openBytesMax }: AggregationOptions) {
    this.#opened = opened;
    this.#openBytesMax = openBytesMax;
    this.#all = aggregatedStreams(streams).map((stream) => ({
      stream,
      aggregator: aggregatorOf(stream, opened),
    }));
    this.#droppedTables = findDroppedTables(streams);
  }

  /** No stream ships the rows of this table themselves. */
  isDropped({ database, table }: Pick<OpenBatch, 'database' | 'table'>): boolean {
    return this.#droppedTables.has(`${database}.${table}`);
  }

  /** Reads again from the log what was in open windows when the process before ended. */
  async restore(log: Pick<EdgeLog, 'read'>, router: Router, nowMs: number): Promise<void> {
    if (this.#all.length === 0) return;
    for (const range of this.#opened.openRanges) {
      const window = await readWindow(log, router, range);
      for (const { stream, aggregator } of this.#all) {
        const columns = columnsOf(window, stream);
        if (columns) aggregator.restore({ ...range, columns }, nowMs);
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
    const sum = (of: (aggregator: StreamAggregator) => number) =>
      this.#all.reduce((bytes, { aggregator }) => bytes + of(aggregator), window.estimatedBytes);
    const mayRemember = sum(({ heldBytes }) => heldBytes) <= this.#openBytesMax;
    // What is merely remembered goes first.
    const isOverfull = !mayRemember && sum(({ openBytes }) => openBytes) > this.#openBytesMax;
    const plans = this.#all.map(({ stream, aggregator }) => {
      const columns = columnsOf(window, stream);
      const rows = columns && { ...range, columns };
      return { stream, aggregator, plan: aggregator.plan({ rows, nowMs, isOverfull, mayRemember, part }) };
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
    const range = { firstSeq: window.firstSeq, endSeq: window.lastSeq + 1 };
    const recipe = { part, fromUs: null, belowUs: null, openRanges: [], window: range };
    const outputs = this.#all.flatMap(({ stream }) => {
      const columns = columnsOf(window, stream);
      if (!columns) return [];
      return stream.aggregates.map((aggregate) => {
        const partials = cook(recipe, { ...stream, aggregate }, [], { ...range, columns });
        return outputOf(stream, { aggregate, columns: partials, recipe });
      });
    });
    return { outputs, state: undefined, accept: () => undefined };
  }
}

function aggregatedStreams(streams: readonly StreamConfig[]): AggregatedStream[] {
  return streams.flatMap((stream) => {
    const { database, aggregates = [] } = stream;
    const table = tableOf(stream);
    if (aggregates.length === 0 || table === undefined) return [];
    const types = [...fieldRulesOf(stream)].flatMap(([column, { type }]): [string, FieldType][] =>
      type === undefined ? [] : [[column, type]],
    );
    return [{ database, table, aggregates, declaredTypes: new Map(types) }];
  });
}

function findDroppedTables(streams: readonly StreamConfig[]): ReadonlySet<string> {
  const keys = (isDropped: boolean) =>
    streams
      .filter(({ raw = 'ship' }) => (raw !== 'ship') === isDropped)
      .map((stream) => `${stream.database}.${tableOf(stream) ?? ''}`);
  const shipped = new Set(keys(false));
  return new Set(keys(true).filter((key) => !shipped.has(key)));
}

function aggregatorOf(stream: AggregatedStream, { closedMs }: AggregateState): StreamAggregator {
  const known = stream.aggregates.flatMap(({ table }): [string, number][] => {
    const ms = closedMs.get(tableKey(stream, table));
    return ms === undefined ? [] : [[table, ms]];
  });
  return new StreamAggregator(stream.aggregates, { declaredTypes: stream.declaredTypes }, new Map(known));
}

function columnsOf(
  window: Window,
  { database, table }: Pick<AggregatedStream, 'database' | 'table'>,
): BatchColumns | undefined {
  const batch = window.batches.get(`${database}.${table}`)?.batch;
  return batch && batch.rowCount > 0 ? batch.finish() : undefined;
}

function outputOf(
  { database }: AggregatedStream,
  { aggregate, columns, recipe }: AggregateBatch,
): AggregateOutput {
  return { database, table: aggregate.table, columns, facts: factsOf(aggregate), recipe };
}

function factsOf({ everyMs, quantiles }: AggregateConfig): AggregateFacts {
  return { everyMs, ...(quantiles && { quantiles: quantiles.shown }) };
}

function stateOf(plans: readonly { stream: AggregatedStream; plan: AggregatePlan }[]): AggregateState {
  const closedMs = plans.flatMap(({ stream, plan }) =>
    [...plan.closedMs].map(([table, ms]): [string, number] => [tableKey(stream, table), ms]),
  );
  return { closedMs: new Map(closedMs), openRanges: joinRanges(plans.flatMap(({ plan }) => plan.held)) };
}

/**
 * Partials of a shipment whose file is lost, made again from the log: the same ones (DESIGN I4). Undefined where its table is
 * none of aggregates any more.
 */
export async function remakePartials(
  { database, table, recipe, clockBoot }: OutboxEntry,
  streams: readonly StreamConfig[],
  log: Pick<EdgeLog, 'read'>,
  router: Router,
): Promise<Pick<AggregateOutput, 'columns' | 'facts'> | undefined> {
  if (!recipe || !('part' in recipe)) return undefined;
  const read = async (stream: AggregatedStream, range: LogRange) => {
    const columns = columnsOf(await readWindow(log, router, range, clockBoot), stream);
    return columns && { ...range, columns };
  };
  for (const stream of aggregatedStreams(streams)) {
    const aggregate = stream.aggregates.find((one) => one.table === table);
    if (!aggregate || stream.database !== database) continue;
    const open = [];
    for (const range of recipe.openRanges) open.push((await read(stream, range)) ?? []);
    const window = recipe.window ? await read(stream, recipe.window) : undefined;
    const { declaredTypes } = stream;
    const columns = cook(recipe, { aggregate, declaredTypes }, open.flat(), window);
    return { columns, facts: factsOf(aggregate) };
  }
  return undefined;
}

function tableKey({ database }: AggregatedStream, table: string): string {
  return `${database}.${table}`;
}
