/**
 * Rows of one series, as arrays: what a question about a few series needs of them. Pure.
 */

export interface SeriesRows {
  /** In the order of the table's tags. */
  readonly tags: readonly (string | null)[];
  /** Microseconds since 1970, ascending, no two the same. */
  readonly timesUs: Float64Array;
  /** By field; NaN where there is none. */
  readonly values: readonly Float64Array[];
}

/** As DuckDB orders them: by their bytes of UTF-8, null last. */
export function compareTags(left: SeriesRows['tags'], right: SeriesRows['tags']): number {
  for (const [index, leftTag] of left.entries()) {
    const rightTag = right[index] ?? null;
    if (leftTag === rightTag) continue;
    if (leftTag === null) return 1;
    if (rightTag === null) return -1;
    return Buffer.compare(Buffer.from(leftTag), Buffer.from(rightTag));
  }
  return 0;
}

/** By tags. @param parts one after the other in time, each with a series at most once */
export function joinSeries(parts: readonly (readonly SeriesRows[])[]): SeriesRows[] {
  const found = new Map<string, SeriesRows[]>();
  for (const series of parts.flat()) {
    const key = JSON.stringify(series.tags);
    const known = found.get(key);
    if (known) known.push(series);
    else found.set(key, [series]);
  }
  return [...found.values()].map(joinOne).sort((left, right) => compareTags(left.tags, right.tags));
}

function joinOne(parts: readonly SeriesRows[]): SeriesRows {
  const [first] = parts;
  if (first === undefined) throw new Error('a series has rows');
  if (parts.length === 1) return first;
  const values = first.values.map((_, field) =>
    joinArrays(parts.map((part) => part.values[field] ?? new Float64Array())),
  );
  return { tags: first.tags, timesUs: joinArrays(parts.map(({ timesUs }) => timesUs)), values };
}

function joinArrays(parts: readonly Float64Array[]): Float64Array {
  const joined = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let start = 0;
  for (const part of parts) {
    joined.set(part, start);
    start += part.length;
  }
  return joined;
}

/** The rows from `startUs` to before `endUs`, in the same memory. */
export function rowsWithin(series: SeriesRows, startUs: number, endUs: number): SeriesRows {
  const [start, end] = [firstAtOrAfter(series.timesUs, startUs), firstAtOrAfter(series.timesUs, endUs)];
  if (start === 0 && end === series.timesUs.length) return series;
  return {
    tags: series.tags,
    timesUs: series.timesUs.subarray(start, end),
    values: series.values.map((values) => values.subarray(start, end)),
  };
}

export function firstAtOrAfter(timesUs: Float64Array, us: number): number {
  let [low, high] = [0, timesUs.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((timesUs[middle] ?? 0) < us) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function rowCountOf(series: readonly SeriesRows[]): number {
  return series.reduce((sum, { timesUs }) => sum + timesUs.length, 0);
}
