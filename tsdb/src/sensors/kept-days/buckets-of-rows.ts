/**
 * Buckets of one series' rows, and what stands in those without: the twin of `range-buckets.ts`, whose rules these are. Pure.
 */
import type { RangeBuckets, ResultColumn } from '../plan-range.js';
import type { SeriesRows } from './series-rows.js';

export interface Buckets {
  /** Where they begin. */
  readonly timesUs: Float64Array;
  /** Rows of each end before this one, and begin where those of the bucket before end. */
  readonly ends: Int32Array;
}

export interface Grid {
  readonly startUs: number;
  /** Exclusive. */
  readonly endUs: number;
}

/** Of `time_bucket`: a Monday, 2000-01-03. */
const originUs = 946_857_600e6;

function bucketOf(timeUs: number, widthUs: number): number {
  return Math.floor((timeUs - originUs) / widthUs) * widthUs + originUs;
}

/** Those with rows; with a grid all of it, and no others. */
export function bucketsOf(timesUs: Float64Array, widthUs: number, grid?: Grid): Buckets {
  const starts: number[] = [];
  const ends: number[] = [];
  let row = 0;
  const take = (startUs: number) => {
    // In most there are few: steps are quicker than halves.
    while (row < timesUs.length && (timesUs[row] ?? 0) < startUs + widthUs) row++;
    starts.push(startUs);
    ends.push(row);
  };
  if (grid) for (let us = bucketOf(grid.startUs, widthUs); us < grid.endUs; us += widthUs) take(us);
  else while (row < timesUs.length) take(bucketOf(timesUs[row] ?? 0, widthUs));
  return { timesUs: Float64Array.from(starts), ends: Int32Array.from(ends) };
}

/** Of the values from `start` to before `end`, NaN where there are none. */
type Reducer = (values: Float64Array, start: number, end: number) => number;

/** By name of an aggregate. */
const reducers: Readonly<Record<string, Reducer>> = {
  avg: (values, start, end) => sumOf(values, start, end) / countOf(values, start, end),
  sum: (values, start, end) => (countOf(values, start, end) === 0 ? Number.NaN : sumOf(values, start, end)),
  count: countOf,
  min: (values, start, end) => {
    let least = Number.NaN;
    for (let row = start; row < end; row++) {
      const value = values[row] ?? Number.NaN;
      if (!(value >= least) && !Number.isNaN(value)) least = value;
    }
    return least;
  },
  max: (values, start, end) => {
    let most = Number.NaN;
    for (let row = start; row < end; row++) {
      const value = values[row] ?? Number.NaN;
      if (!(value <= most) && !Number.isNaN(value)) most = value;
    }
    return most;
  },
  first: (values, start, end) => values[firstRow(values, start, end)] ?? Number.NaN,
  last: (values, start, end) => values[lastRow(values, start, end)] ?? Number.NaN,
};

export const reducedAggregates: ReadonlySet<string> = new Set(Object.keys(reducers));

function sumOf(values: Float64Array, start: number, end: number): number {
  let sum = 0;
  for (let row = start; row < end; row++) {
    const value = values[row] ?? Number.NaN;
    if (!Number.isNaN(value)) sum += value;
  }
  return sum;
}

function countOf(values: Float64Array, start: number, end: number): number {
  let count = 0;
  for (let row = start; row < end; row++) if (!Number.isNaN(values[row] ?? Number.NaN)) count++;
  return count;
}

/** -1 where there is none. */
function firstRow(values: Float64Array, start: number, end: number): number {
  for (let row = start; row < end; row++) if (!Number.isNaN(values[row] ?? Number.NaN)) return row;
  return -1;
}

function lastRow(values: Float64Array, start: number, end: number): number {
  for (let row = end - 1; row >= start; row--) if (!Number.isNaN(values[row] ?? Number.NaN)) return row;
  return -1;
}

/** Values of an aggregate by bucket; NaN where there is none. */
export function reduceBuckets(
  { aggregate, field }: ResultColumn,
  { values }: SeriesRows,
  { ends }: Buckets,
): Float64Array {
  const [reduce, array] = [reducers[aggregate.name], values[field]];
  const reduced = new Float64Array(ends.length);
  if (!reduce || !array) return reduced.fill(Number.NaN);
  let start = 0;
  for (let bucket = 0; bucket < ends.length; bucket++) {
    const end = ends[bucket] ?? 0;
    reduced[bucket] = reduce(array, start, end);
    start = end;
  }
  return reduced;
}

export interface FillContext {
  readonly buckets: RangeBuckets;
  /** Rows of the window, and of the look-back. */
  readonly inside: SeriesRows;
  readonly before: SeriesRows;
}

/** The values of all buckets of a grid. @param values NaN where there is none; of `count` 0 */
export function fillBuckets(
  { aggregate, field }: ResultColumn,
  values: Float64Array,
  { timesUs, ends }: Buckets,
  { buckets, inside, before }: FillContext,
): Float64Array {
  const { fill, maxGapMs } = buckets;
  const measured = inside.values[field];
  if (aggregate.name === 'count' || fill === 'null' || fill === 'none' || !measured) return values;
  if (typeof fill === 'number') return values.map((value) => (Number.isNaN(value) ? fill : value));
  const timeOf = (find: Reducer) => (bucket: number) =>
    inside.timesUs[find(measured, ends[bucket - 1] ?? 0, ends[bucket] ?? 0)] ?? Number.NaN;
  const known = {
    values,
    timesUs,
    fromUs: timeOf(firstRow),
    toUs: timeOf(lastRow),
    seed: lastOf(before, field),
    isSeeded: aggregate.isSeeded,
    gapUsMax: maxGapMs === undefined ? undefined : maxGapMs * 1_000,
  };
  return fill === 'previous' ? fillPrevious(known) : fillLinear(known);
}

interface Measured {
  readonly value: number;
  readonly us: number;
}

function lastOf({ timesUs, values }: SeriesRows, field: number): Measured {
  const array = values[field] ?? new Float64Array();
  const row = lastRow(array, 0, array.length);
  return { value: array[row] ?? Number.NaN, us: timesUs[row] ?? Number.NaN };
}

interface Known {
  readonly values: Float64Array;
  readonly timesUs: Float64Array;
  /** When the first and the last value of a bucket were measured. */
  readonly fromUs: (bucket: number) => number;
  readonly toUs: (bucket: number) => number;
  readonly seed: Measured;
  readonly isSeeded: boolean;
  readonly gapUsMax: number | undefined;
}

/** False for NaN: where nothing is known of a gap, nothing is filled. */
function isWithin(gapUs: number, gapUsMax: number | undefined): boolean {
  return gapUsMax === undefined || gapUs <= gapUsMax;
}

function fillPrevious({ values, timesUs, toUs, seed, isSeeded, gapUsMax }: Known): Float64Array {
  const filled = new Float64Array(values);
  let held = isSeeded ? seed.value : Number.NaN;
  let sinceUs = seed.us;
  for (let bucket = 0; bucket < values.length; bucket++) {
    const value = values[bucket] ?? Number.NaN;
    if (Number.isNaN(value)) {
      if (isWithin((timesUs[bucket] ?? 0) - sinceUs, gapUsMax)) filled[bucket] = held;
    } else {
      held = value;
      sinceUs = toUs(bucket);
    }
  }
  return filled;
}

function fillLinear({ values, timesUs, fromUs, toUs, seed, isSeeded, gapUsMax }: Known): Float64Array {
  const filled = new Float64Array(values);
  let before = { value: isSeeded ? seed.value : Number.NaN, us: isSeeded ? seed.us : Number.NaN };
  let sinceUs = seed.us;
  for (let bucket = 0; bucket < values.length; bucket++) {
    const value = values[bucket] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    const next = { value, us: timesUs[bucket] ?? Number.NaN };
    if (isWithin(fromUs(bucket) - sinceUs, gapUsMax)) drawLine(filled, timesUs, bucket, before, next);
    before = next;
    sinceUs = toUs(bucket);
  }
  return filled;
}

/** Into the empty buckets before `bucket`. */
function drawLine(
  filled: Float64Array,
  timesUs: Float64Array,
  bucket: number,
  from: Measured,
  to: Measured,
): void {
  const slope = (us: number) => from.value + ((to.value - from.value) * (us - from.us)) / (to.us - from.us);
  for (let empty = bucket - 1; empty >= 0 && Number.isNaN(filled[empty] ?? 0); empty--)
    filled[empty] = slope(timesUs[empty] ?? 0);
}
