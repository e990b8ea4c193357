/**
 * The aggregates of one stream in the live lane: which windows are open, and what is written with each shipment.
 *
 * `plan` looks and changes nothing; `accept` is called when what was planned is durable. So a shipment that could not be
 * staged is planned again.
 *
 * Rows are remembered for `rememberedMs` after the last window that they are in was written, so that a reading that comes again
 * is recognised. Remembered rows are held like those of open windows: in memory, and their messages in the log.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import type { BatchColumns } from '../batch/table-batch.js';
import type { AggregateRecipe, LogRange } from '../log/edge-log.js';
import { aggregateRows, windowStartUs } from './aggregate-rows.js';
import type { AggregateConfig } from './aggregate-config.js';
import { joinRanges } from '../ship/plan-lanes.js';
import { leaveOutRepeats } from './leave-out-repeats.js';
import { gatherRows, selectRows } from './open-rows.js';
import { planClosing, type Closing } from './plan-closing.js';

/** Rows that were staged, and the messages they were made of. */
export interface OpenBatch extends LogRange {
  readonly columns: BatchColumns;
}

/** A row that comes again within this time after its window was written counts once. */
const rememberedMs = 30_000;

interface HeldBatch extends OpenBatch {
  /** Until then its rows are remembered, ms since 1970. */
  readonly forgetMs: number;
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
  readonly held: readonly HeldBatch[];
}

export interface PlanRequest {
  /** What the window brings; undefined: nothing. */
  readonly rows: OpenBatch | undefined;
  readonly nowMs: number;
  /** Write everything. */
  readonly isOverfull: boolean;
  /** There is room for rows whose windows are written. */
  readonly mayRemember: boolean;
  readonly part: string;
}

export class StreamAggregator {
  readonly #aggregates: readonly AggregateConfig[];
  readonly #kitchen: Omit<Kitchen, 'aggregate'>;
  #closedMs: ReadonlyMap<string, number>;
  #held: readonly HeldBatch[] = [];
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
  get heldRanges(): readonly LogRange[] {
    return this.#held;
  }

  /** In memory: of all rows that are held, and of those that have an open window. */
  get heldBytes(): number {
    return bytesOfAll(this.#held);
  }

  get openBytes(): number {
    const fromUs = this.#openFromUs(this.#closedMs);
    return bytesOfAll(this.#held.filter((batch) => isOpen(batch, fromUs)));
  }

  /** Rows that were staged before this process began, read again from the log. */
  restore(rows: OpenBatch, nowMs: number): void {
    this.#held = [...this.#held, this.#hold(rows, nowMs)];
    this.#nextDueMs = this.#findNextDueMs();
  }

  /** When the next open window may be written, or the last rows be forgotten, ms since 1970; undefined: none are held. */
  get nextDueMs(): number | undefined {
    return this.#nextDueMs;
  }

  plan({ rows, nowMs, isOverfull, mayRemember, part }: PlanRequest): AggregatePlan {
    const closings = this.#planClosings(nowMs, isOverfull);
    const closedMs = new Map(closings.map(({ aggregate, closing }) => [aggregate.table, closing.closedMs]));
    const isForced = closings.some(({ closing }) => closing.isForced);
    const batches = closings.flatMap(({ aggregate, closing }) => {
      const recipe = this.#planRecipe(aggregate, { ...closing, isForced }, rows, part);
      const columns = cook(recipe, { ...this.#kitchen, aggregate }, this.#held, rows);
      return columns.rowCount > 0 ? [{ aggregate, columns, recipe }] : [];
    });
    const all = rows ? [...this.#held, this.#hold(rows, nowMs)] : this.#held;
    const fromUs = this.#openFromUs(closedMs);
    const isHeld = (batch: HeldBatch) => isOpen(batch, fromUs) || (mayRemember && nowMs < batch.forgetMs);
    return { batches, closedMs, held: isForced ? [] : all.filter(isHeld) };
  }

  /** The plan is durable. */
  accept({ closedMs, held }: AggregatePlan): void {
    this.#closedMs = closedMs;
    this.#held = held;
    this.#nextDueMs = this.#findNextDueMs();
  }

  #findNextDueMs(): number | undefined {
    let dueMs = Infinity;
    for (const aggregate of this.#aggregates) {
      const fromUs = openFromUs(this.#closedMs.get(aggregate.table), aggregate.everyMs);
      for (const { columns } of this.#held)
        for (const timeUs of columns.timeUs)
          if (timeUs >= fromUs) dueMs = Math.min(dueMs, dueMsOf(timeUs, aggregate));
    }
    if (dueMs < Infinity || this.#held.length === 0) return dueMs === Infinity ? undefined : dueMs;
    // All at once: each time is a write to the card.
    return Math.max(...this.#held.map(({ forgetMs }) => forgetMs));
  }

  #hold(rows: OpenBatch, nowMs: number): HeldBatch {
    let writtenMs = nowMs;
    for (const aggregate of this.#aggregates)
      for (const timeUs of rows.columns.timeUs) writtenMs = Math.max(writtenMs, dueMsOf(timeUs, aggregate));
    return { ...rows, forgetMs: writtenMs + rememberedMs };
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
      openRanges: joinRanges(this.#held),
      window: rows ? { firstSeq: rows.firstSeq, endSeq: rows.endSeq } : null,
    };
  }

  /** Rows from there on are in a window of some width that has not been written. */
  #openFromUs(closedMs: ReadonlyMap<string, number>): number {
    return this.#aggregates.reduce(
      (from, { table, everyMs }) => Math.min(from, openFromUs(closedMs.get(table), everyMs)),
      Infinity,
    );
  }
}

function isOpen({ columns }: OpenBatch, fromUs: number): boolean {
  return columns.timeUs.some((timeUs) => timeUs >= fromUs);
}

/** When the window of that time may be written, ms since 1970. */
function dueMsOf(timeUs: number, { everyMs, latenessMs }: AggregateConfig): number {
  return windowStartUs(timeUs, everyMs * 1_000) / 1_000 + everyMs + latenessMs;
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
  const [startUs, endUs] = [fromUs ?? -Infinity, belowUs ?? Infinity];
  const selected = open.map(({ columns }) => selectRows(columns, startUs, endUs));
  if (window) {
    // Of windows that have been written: what is held of them is what has been counted.
    const late = selectRows(window.columns, -Infinity, Math.min(startUs, endUs));
    const written = open.map(({ columns }) => columns);
    selected.push(leaveOutRepeats(late, written, declaredTypes), selectRows(window.columns, startUs, endUs));
  }
  const rows = gatherRows(
    selected.filter((some) => some.rows.length > 0),
    declaredTypes,
  );
  return aggregateRows(rows, everyMs * 1_000, part, quantiles);
}

function bytesOfAll(batches: readonly OpenBatch[]): number {
  return batches.reduce((sum, { columns }) => sum + bytesOf(columns), 0);
}

function bytesOf({ rowCount, tags, fields }: BatchColumns): number {
  return rowCount * 8 * (1 + tags.length + fields.length);
}
