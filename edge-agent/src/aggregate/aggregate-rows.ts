/**
 * Rows to partials (`common/contract/aggregate.ts`): one row for each series and tumbling window. Pure.
 *
 * Rows of one (tags, time) count once, the last of each field wins, as in a table of raw rows (DESIGN I7). Values are added
 * up in the order of their times, with compensation, so that the sum does not depend on the order of arrival.
 */
import {
  aggregateColumnName,
  partColumnName,
  type AggregateFunction,
} from '@varve/common/contract/aggregate.js';
import type { FieldType } from '@varve/common/contract/columns.js';
import { ColumnBuffer } from '../batch/column-buffer.js';
import type { BatchColumns, NamedColumn } from '../batch/table-batch.js';
import { isValid, planRowOrder } from '../encode/sort-rows.js';
import type { QuantileConfig } from './aggregate-config.js';
import { Sketch } from './sketch.js';

/** Rows of one series and window: a stretch of the sorted order. */
interface Group {
  readonly begin: number;
  readonly end: number;
  readonly startUs: number;
}

/** `part` is the same for all rows: what tells these partials from others of the same windows. */
export function aggregateRows(
  rows: BatchColumns,
  everyUs: number,
  part: string,
  quantiles?: Pick<QuantileConfig, 'fields'>,
): BatchColumns {
  const order = planRowOrder(rows);
  const groups = findGroups(rows, order, everyUs);
  const timeUs = Float64Array.from(groups, ({ startUs }) => startUs);
  const tags = rows.tags.map((tag) => pickFirst(tag, order, groups));
  return {
    rowCount: groups.length,
    timeUs,
    tags: [...tags, constantTag(partColumnName, part, groups.length)].sort(byName),
    fields: rows.fields
      .flatMap((field) => aggregateField(field, rows.timeUs, order, groups, isSketched(field, quantiles)))
      .sort(byName),
    originalNames: {},
    ...(rows.decimals && { decimals: decimalsOfPartials(rows.decimals) }),
  };
}

/** What is a value of the field has its resolution; sums do not need one. */
function decimalsOfPartials(decimals: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(decimals).flatMap(([field, count]) =>
      (['min', 'max', 'first', 'last'] as const).map((wanted) => [aggregateColumnName(field, wanted), count]),
    ),
  );
}

export function windowStartUs(timeUs: number, everyUs: number): number {
  return Math.floor(timeUs / everyUs) * everyUs;
}

function findGroups({ timeUs, tags }: BatchColumns, order: Uint32Array, everyUs: number): Group[] {
  const groups: Group[] = [];
  let begin = 0;
  for (let place = 1; place <= order.length; place++) {
    const first = order[begin] ?? 0;
    const startUs = windowStartUs(timeUs[first] ?? 0, everyUs);
    const row = order[place];
    const isSame =
      row !== undefined &&
      windowStartUs(timeUs[row] ?? 0, everyUs) === startUs &&
      tags.every((tag) => isSameTag(tag, first, row));
    if (isSame) continue;
    groups.push({ begin, end: place, startUs });
    begin = place;
  }
  return groups;
}

function isSameTag({ values, validity }: NamedColumn, a: number, b: number): boolean {
  const isSet = isValid(validity, a);
  return isSet === isValid(validity, b) && (!isSet || values[a] === values[b]);
}

function pickFirst(tag: NamedColumn, order: Uint32Array, groups: readonly Group[]): NamedColumn {
  const picked = new ColumnBuffer('string');
  for (const [index, { begin }] of groups.entries()) {
    const row = order[begin] ?? 0;
    if (isValid(tag.validity, row)) picked.set(index, tag.texts[tag.values[row] ?? 0] ?? '');
  }
  return { name: tag.name, ...picked.finish(groups.length) };
}

function constantTag(name: string, text: string, rowCount: number): NamedColumn {
  const column = new ColumnBuffer('string');
  for (let row = 0; row < rowCount; row++) column.set(row, text);
  return { name, ...column.finish(rowCount) };
}

function isSketched(
  { name, type }: NamedColumn,
  quantiles: Pick<QuantileConfig, 'fields'> | undefined,
): boolean {
  return quantiles !== undefined && isNumeric(type) && quantiles.fields?.has(name) !== false;
}

function aggregateField(
  field: NamedColumn,
  timeUs: Float64Array,
  order: Uint32Array,
  groups: readonly Group[],
  hasSketch: boolean,
): NamedColumn[] {
  const partial = new Partials(field, hasSketch);
  for (const [index, { begin, end }] of groups.entries()) {
    for (let place = begin; place < end; place++) {
      const row = order[place] ?? 0;
      if (!isValid(field.validity, row) || isReplaced(field, timeUs, order, place, end)) continue;
      partial.add(field.values[row] ?? 0, timeUs[row] ?? 0);
    }
    partial.close(index);
  }
  return partial.finish(groups.length);
}

/** Whether a later row of the same (tags, time) has a value too. */
function isReplaced(
  { validity }: NamedColumn,
  timeUs: Float64Array,
  order: Uint32Array,
  place: number,
  end: number,
): boolean {
  const time = timeUs[order[place] ?? 0];
  for (let next = place + 1; next < end; next++) {
    const row = order[next] ?? 0;
    if (timeUs[row] !== time) return false;
    if (isValid(validity, row)) return true;
  }
  return false;
}

/** The partial of one field, window by window. */
class Partials {
  readonly #field: NamedColumn;
  readonly #columns: Readonly<Record<AggregateFunction, ColumnBuffer>>;
  #count = 0;
  #sum = 0;
  /** What additions have rounded off (Neumaier's summation). */
  #lost = 0;
  #min = Infinity;
  #max = -Infinity;
  #first = 0;
  #last = 0;
  #firstUs = 0;
  #lastUs = 0;
  readonly #hasSketch: boolean;
  #sketch: Sketch | undefined;

  constructor(field: NamedColumn, hasSketch: boolean) {
    this.#field = field;
    this.#hasSketch = hasSketch;
    const likeField = () => new ColumnBuffer(field.type);
    this.#columns = {
      ...{ count: new ColumnBuffer('long'), sum: new ColumnBuffer('double') },
      ...{ min: likeField(), max: likeField(), first: likeField(), last: likeField() },
      ...{ first_time: new ColumnBuffer('long'), last_time: new ColumnBuffer('long') },
      sketch: new ColumnBuffer('string'),
    };
  }

  /** In the order of time. */
  add(value: number, timeUs: number): void {
    if (this.#count++ === 0) {
      this.#first = value;
      this.#firstUs = timeUs;
    }
    this.#last = value;
    this.#lastUs = timeUs;
    const sum = this.#sum + value;
    this.#lost += Math.abs(this.#sum) >= Math.abs(value) ? this.#sum - sum + value : value - sum + this.#sum;
    this.#sum = sum;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    if (this.#hasSketch) (this.#sketch ??= new Sketch()).add(value);
  }

  /** The window's row is complete; a window without values of the field has none of its columns. */
  close(row: number): void {
    if (this.#count === 0) return;
    const { count, sum, min, max, first, last, first_time, last_time, sketch } = this.#columns;
    count.set(row, this.#count);
    sum.set(row, this.#sum + this.#lost);
    min.set(row, this.#min);
    max.set(row, this.#max);
    first.set(row, this.#shown(this.#first));
    last.set(row, this.#shown(this.#last));
    first_time.set(row, this.#firstUs);
    last_time.set(row, this.#lastUs);
    if (this.#sketch) sketch.set(row, this.#sketch.toText());
    this.#sketch = undefined;
    this.#count = this.#sum = this.#lost = 0;
    this.#min = Infinity;
    this.#max = -Infinity;
  }

  finish(rowCount: number): NamedColumn[] {
    const wantedSketch: readonly AggregateFunction[] = this.#hasSketch ? ['sketch'] : [];
    return [...functionsOf(this.#field.type), ...wantedSketch].map((wanted) => ({
      name: aggregateColumnName(this.#field.name, wanted),
      ...this.#columns[wanted].finish(rowCount),
    }));
  }

  /** Texts are codes in their column. */
  #shown(value: number): number | string {
    return this.#field.type === 'string' ? (this.#field.texts[value] ?? '') : value;
  }
}

function functionsOf(type: FieldType): readonly AggregateFunction[] {
  const all: readonly AggregateFunction[] = ['count', 'first', 'last', 'first_time', 'last_time'];
  return isNumeric(type) ? [...all, 'sum', 'min', 'max'] : all;
}

function isNumeric(type: FieldType): boolean {
  return type === 'double' || type === 'long';
}

function byName(a: NamedColumn, b: NamedColumn): number {
  return a.name < b.name ? -1 : 1;
}
