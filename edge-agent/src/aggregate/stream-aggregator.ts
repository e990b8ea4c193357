/**
 * The aggregates of one stream in the live lane: which windows are open, and what is written with each shipment.
 *
 * `plan` looks and changes nothing; `accept` is called when what was planned is durable. So a shipment that could not be
 * staged is planned again.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import type { BatchColumns } from '../batch/table-batch.js';
import type { AggregateRecipe, LogRange } from '../log/edge-log.js';
import { aggregateRows, windowStartUs } from './aggregate-rows.js';
import type { AggregateConfig } from './aggregate-config.js';
import { gatherRows, selectRows } from './open-rows.js';
import { planClosing, type Closing } from './plan-closing.js';

/** Rows that were staged, and the messages they were made of. */
export interface OpenBatch extends LogRange {
  readonly columns: BatchColumns;
}

/** One table's partials, to be written, and what they are made of. */
export interface AggregateBatch {
  readonly aggregate: AggregateConfig;
  readonly columns: BatchColumns;
  readonly recipe: AggregateRecipe;
}

export interface AggregatePlan {
  readonly batches: readonly AggregateBatch[];
  /** By table: all windows that end there or before have been written. */
  readonly closedMs: ReadonlyMap<string, number>;
  readonly open: readonly OpenBatch[];
}

export interface PlanRequest {
  /** What the window brings; undefined: nothing. */
  readonly rows: OpenBatch | undefined;
  readonly nowMs: number;
  /** Write everything. */
  readonly isOverfull: boolean;
  readonly part: string;
}

export class StreamAggregator {
  readonly #aggregates: readonly AggregateConfig[];
  readonly #kitchen: Omit<Kitchen, 'aggregate'>;
  #closedMs: ReadonlyMap<string, number>;
  #open: readonly OpenBatch[] = [];
  #nextDueMs: number | undefined;

  /** `closedMs` as the log remembers it. */
  constructor(
    aggregates: readonly AggregateConfig[],
    kitchen: Omit<Kitchen, 'aggregate'>,
    closedMs: ReadonlyMap<string, number>,
  ) {
    this.#aggregates = aggregates;
    this.#kitchen = kitchen;
    this.#closedMs = closedMs;
  }

  /** Messages that must be read again after a kill. */
  get openRanges(): readonly LogRange[] {
    return this.#open;
  }

  get openBytes(): number {
    return this.#open.reduce((sum, { columns }) => sum + bytesOf(columns), 0);
  }

  /** Rows that were staged before this process began, read again from the log. */
  restore(rows: OpenBatch): void {
    this.#open = this.#stillOpen([...this.#open, rows], this.#closedMs);
    this.#nextDueMs = this.#findNextDueMs();
  }

  /** When the next open window may be written, ms since 1970; undefined: none is open. */
  get nextDueMs(): number | undefined {
    return this.#nextDueMs;
  }

  plan({ rows, nowMs, isOverfull, part }: PlanRequest): AggregatePlan {
    const closings = this.#planClosings(nowMs, isOverfull);
    const closedMs = new Map(closings.map(({ aggregate, closing }) => [aggregate.table, closing.closedMs]));
    const isForced = closings.some(({ closing }) => closing.isForced);
    const batches = closings.flatMap(({ aggregate, closing }) => {
      const recipe = this.#planRecipe(aggregate, { ...closing, isForced }, rows, part);
      const columns = cook(recipe, { ...this.#kitchen, aggregate }, this.#open, rows);
      return columns.rowCount > 0 ? [{ aggregate, columns, recipe }] : [];
    });
    const all = rows ? [...this.#open, rows] : this.#open;
    return { batches, closedMs, open: isForced ? [] : this.#stillOpen(all, closedMs) };
  }

  /** The plan is durable. */
  accept({ closedMs, open }: AggregatePlan): void {
    this.#closedMs = closedMs;
    this.#open = open;
    this.#nextDueMs = this.#findNextDueMs();
  }

  #findNextDueMs(): number | undefined {
    let dueMs = Infinity;
    for (const { table, everyMs, latenessMs } of this.#aggregates) {
      const fromUs = openFromUs(this.#closedMs.get(table), everyMs);
      for (const { columns } of this.#open)
        for (const timeUs of columns.timeUs)
          if (timeUs >= fromUs)
            dueMs = Math.min(dueMs, windowStartUs(timeUs, everyMs * 1_000) / 1_000 + everyMs + latenessMs);
    }
    return dueMs === Infinity ? undefined : dueMs;
  }

  #planClosings(nowMs: number, isOverfull: boolean) {
    return this.#aggregates.map((aggregate) => ({
      aggregate,
      closing: planClosing({
        ...{ nowMs, isOverfull, latenessMs: aggregate.latenessMs },
        closedMs: this.#closedMs.get(aggregate.table),
      }),
    }));
  }

  /** Open windows that end now, and what the new rows bring to windows that have ended. */
  #planRecipe(
    { table, everyMs }: AggregateConfig,
    { closedMs, isForced }: Closing,
    rows: OpenBatch | undefined,
    part: string,
  ): AggregateRecipe {
    const known = this.#closedMs.get(table);
    return {
      part,
      fromUs: known === undefined ? null : openFromUs(known, everyMs),
      belowUs: isForced ? null : openFromUs(closedMs, everyMs),
      openRanges: this.#open.map(({ firstSeq, endSeq }) => ({ firstSeq, endSeq })),
      window: rows ? { firstSeq: rows.firstSeq, endSeq: rows.endSeq } : null,
    };
  }

  /** Those that have rows in a window of any width that has not been written. */
  #stillOpen(batches: readonly OpenBatch[], closedMs: ReadonlyMap<string, number>): OpenBatch[] {
    const fromUs = this.#aggregates.reduce(
      (from, { table, everyMs }) => Math.min(from, openFromUs(closedMs.get(table), everyMs)),
      Infinity,
    );
    return batches.filter(({ columns }) => columns.timeUs.some((timeUs) => timeUs >= fromUs));
  }
}

/** The first window that has not been written begins there: those before have ended by `closedMs`. */
function openFromUs(closedMs: number | undefined, everyMs: number): number {
  return closedMs === undefined ? -Infinity : windowStartUs(closedMs * 1_000, everyMs * 1_000);
}

/** What partials of one table are like. */
export interface Kitchen {
  readonly aggregate: Pick<AggregateConfig, 'everyMs' | 'quantiles'>;
  readonly declaredTypes: ReadonlyMap<string, FieldType>;
}

/** The partials of a recipe, from the rows of its messages: the same ones, whenever it is made. */
export function cook(
  { part, fromUs, belowUs }: AggregateRecipe,
  { aggregate: { everyMs, quantiles }, declaredTypes }: Kitchen,
  open: readonly OpenBatch[],
  window: OpenBatch | undefined,
): BatchColumns {
  const endUs = belowUs ?? Infinity;
  const selected = open.map(({ columns }) => selectRows(columns, fromUs ?? -Infinity, endUs));
  if (window) selected.push(selectRows(window.columns, -Infinity, endUs));
  const rows = gatherRows(
    selected.filter((some) => some.rows.length > 0),
    declaredTypes,
  );
  return aggregateRows(rows, everyMs * 1_000, part, quantiles);
}

function bytesOf({ rowCount, tags, fields }: BatchColumns): number {
  return rowCount * 8 * (1 + tags.length + fields.length);
}
