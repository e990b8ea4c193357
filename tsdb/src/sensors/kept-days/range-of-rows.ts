/**
 * What `plan-range.ts` and `range-buckets.ts` say in SQL, of rows in memory: rows, their extremes by pixel, and buckets that are
 * filled. Pure. Those are the truth, and a test compares the two; `canCompute` says for which questions.
 *
 * Differs in one thing: a mean is the sum in the order of time, where DuckDB may add up in another one, so that the last digit of
 * the two can differ.
 */
import type { RangeBuckets, RangeQuestion, ResultColumn } from '../plan-range.js';
import { resultColumns } from '../plan-range.js';
import { bucketsOf, fillBuckets, reduceBuckets, reducedAggregates } from './buckets-of-rows.js';
import { rowsWithin, type SeriesRows } from './series-rows.js';

/** Of one series; NaN where there is none. */
export interface RangeRows {
  readonly tags: SeriesRows['tags'];
  readonly timesUs: Float64Array;
  readonly columns: readonly Float64Array[];
}

export function canCompute({ fields, buckets }: RangeQuestion): boolean {
  if (!fields.every(({ type }) => type === 'double')) return false;
  if (!buckets) return true;
  return (
    'us' in buckets.width &&
    buckets.timeZone === 'UTC' &&
    buckets.aggregates.every(({ name }) => reducedAggregates.has(name))
  );
}

/** From when rows matter, in microseconds: the look-back is before the window. */
export function rowsFromUs({ startMs, buckets }: RangeQuestion): number {
  return toUs(startMs - (buckets && isSeeded(buckets) ? buckets.lookBackMs : 0));
}

const isSeeded = ({ fill }: RangeBuckets) => fill === 'previous' || fill === 'linear';

/** @param all rows from `rowsFromUs` to the end of the window at least, by series in the order of their tags */
export function rangeOfRows(question: RangeQuestion, all: readonly SeriesRows[]): RangeRows[] {
  const [startUs, endUs] = [toUs(question.startMs), toUs(question.endMs)];
  const { buckets } = question;
  if (!buckets)
    return all.flatMap((series) => {
      const { tags, timesUs, values } = fewer(question, rowsWithin(series, startUs, endUs));
      return timesUs.length === 0 ? [] : [{ tags, timesUs, columns: values }];
    });
  const columns = resultColumns(question.fields, buckets.aggregates);
  return all.flatMap((series) => bucketRows(question, buckets, columns, series));
}

const toUs = (ms: number) => Math.round(ms * 1_000);

function bucketRows(
  question: RangeQuestion,
  buckets: RangeBuckets,
  columns: readonly ResultColumn[],
  series: SeriesRows,
): RangeRows[] {
  const [startUs, endUs] = [toUs(question.startMs), toUs(question.endMs)];
  const widthUs = 'us' in buckets.width ? buckets.width.us : Number.NaN;
  const inside = rowsWithin(series, startUs, endUs);
  if (buckets.fill === 'none') {
    const found = bucketsOf(inside.timesUs, widthUs);
    if (found.timesUs.length === 0) return [];
    const shown = columns.map((column) => reduceBuckets(column, inside, found));
    return [{ tags: series.tags, timesUs: found.timesUs, columns: shown }];
  }
  const before = rowsWithin(series, rowsFromUs(question), startUs);
  if (inside.timesUs.length === 0 && !(isSeeded(buckets) && before.timesUs.length > 0)) return [];
  // Nothing is known of the future.
  const filledToUs = Math.max(startUs, Math.min(endUs, toUs(question.nowMs)));
  const laid = bucketsOf(inside.timesUs, widthUs, { startUs, endUs: filledToUs });
  const shown = columns.map((column) =>
    fillBuckets(column, reduceBuckets(column, inside, laid), laid, { buckets, inside, before }),
  );
  return [{ tags: series.tags, timesUs: laid.timesUs, columns: shown }];
}

/** Of each pixel the first and the last row, and the extremes of each field, where a series has more rows than points. */
function fewer({ pointsMax, fields, startMs, endMs }: RangeQuestion, series: SeriesRows): SeriesRows {
  const { timesUs, values, tags } = series;
  if (pointsMax === undefined || timesUs.length <= pointsMax) return series;
  const startUs = toUs(startMs);
  const pixels = Math.max(1, Math.floor(pointsMax / (2 + 2 * fields.length)));
  const widthUs = Math.max(1, Math.ceil(((endMs - startMs) * 1_000) / pixels));
  const placeOf = (row: number) => Math.floor(((timesUs[row] ?? 0) - startUs) / widthUs);
  const kept = new Set<number>();
  for (let row = 0; row < timesUs.length;) {
    const [first, place] = [row, placeOf(row)];
    while (row < timesUs.length && placeOf(row) === place) row++;
    const extremes = values.flatMap((array) => extremesOf(array, first, row));
    for (const one of [first, row - 1, ...extremes].sort((left, right) => left - right)) kept.add(one);
  }
  const take = (array: Float64Array) => Float64Array.from(kept, (row) => array[row] ?? Number.NaN);
  return { tags, timesUs: take(timesUs), values: values.map(take) };
}

function extremesOf(values: Float64Array, start: number, end: number): number[] {
  let [low, high] = [-1, -1];
  for (let row = start; row < end; row++) {
    const value = values[row] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    if (low < 0 || value < (values[low] ?? 0)) low = row;
    if (high < 0 || value > (values[high] ?? 0)) high = row;
  }
  return low < 0 ? [] : [low, high];
}
