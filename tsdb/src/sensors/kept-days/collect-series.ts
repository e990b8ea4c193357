/**
 * Takes rows as DuckDB sends them – time, tags, fields – apart into series and days.
 *
 * Rows of a file come in the order of their tags and times, those of several files one file after the other: what is out of order
 * is sorted in the end.
 */
import type { RowBatch } from '../../query/query-answer.js';
import { cellStates, numbersIn, sameTexts, type CellVector } from '../../query/vector-memory.js';
import { compareTags, type SeriesRows } from './series-rows.js';

export const dayUs = 86_400e6;

const rowsAtFirst = 1_024;

export class CollectedSeries {
  readonly #tagCount: number;
  readonly #fieldCount: number;
  /** By day since 1970, then tags as JSON. */
  readonly #days = new Map<number, Map<string, GrowingSeries>>();

  constructor(tagCount: number, fieldCount: number) {
    this.#tagCount = tagCount;
    this.#fieldCount = fieldCount;
  }

  /** False, and the rows are of no use, where they cannot be held so: a value is not finite, or vectors look otherwise. */
  add({ rowCount, vectorAt }: RowBatch): boolean {
    const times = numbersIn(vectorAt(0), rowCount);
    const tags = Array.from({ length: this.#tagCount }, (_, index) => tagReader(vectorAt(1 + index)));
    const fields = Array.from({ length: this.#fieldCount }, (_, index) =>
      numbersIn(vectorAt(1 + this.#tagCount + index), rowCount),
    );
    if (!times || times.states || fields.includes(undefined)) return false;
    let series: GrowingSeries | undefined;
    let day = Number.NaN;
    for (let row = 0; row < rowCount; row++) {
      const timeUs = times.values[row] ?? Number.NaN;
      if (!Number.isSafeInteger(timeUs)) return false;
      const rowDay = Math.floor(timeUs / dayUs);
      if (!series || rowDay !== day || !tags.every(({ isAsBefore }) => isAsBefore(row))) {
        day = rowDay;
        series = this.#seriesOf(
          day,
          tags.map(({ read }) => read(row)),
        );
      }
      const at = series.add(timeUs);
      for (let field = 0; field < fields.length; field++) {
        const { values, states } = fields[field] ?? {};
        if (states?.[row] === cellStates.null) continue;
        const value = values?.[row] ?? Number.NaN;
        if (!Number.isFinite(value) || states?.[row] === cellStates.other) return false;
        series.put(field, at, value);
      }
    }
    return true;
  }

  /** In order of their tags. @param day since 1970 */
  seriesOf(day: number): SeriesRows[] {
    return [...(this.#days.get(day)?.values() ?? [])]
      .map((series) => series.rows())
      .sort((left, right) => compareTags(left.tags, right.tags));
  }

  #seriesOf(day: number, tags: SeriesRows['tags']): GrowingSeries {
    const series = this.#days.get(day) ?? new Map<string, GrowingSeries>();
    this.#days.set(day, series);
    const key = JSON.stringify(tags);
    const found = series.get(key) ?? new GrowingSeries(tags, this.#fieldCount);
    series.set(key, found);
    return found;
  }
}

interface TagReader {
  /** As in the row that was read last. */
  readonly isAsBefore: (row: number) => boolean;
  readonly read: (row: number) => string | null;
}

function tagReader(vector: CellVector): TagReader {
  const isSame = sameTexts(vector);
  let last: number | undefined;
  return {
    isAsBefore: (row) => last !== undefined && isSame(row, last),
    read: (row) => {
      const value = vector.getItem(row);
      last = value === null ? undefined : row;
      return value === null ? null : String(value);
    },
  };
}

class GrowingSeries {
  readonly #tags: SeriesRows['tags'];
  #timesUs = new Float64Array(rowsAtFirst);
  readonly #values: Float64Array[];
  #count = 0;
  #isSorted = true;

  constructor(tags: SeriesRows['tags'], fieldCount: number) {
    this.#tags = tags;
    this.#values = Array.from({ length: fieldCount }, () => new Float64Array(rowsAtFirst).fill(Number.NaN));
  }

  /** @returns its place */
  add(timeUs: number): number {
    const at = this.#count++;
    if (at === this.#timesUs.length) this.#grow();
    if (at > 0 && timeUs < (this.#timesUs[at - 1] ?? 0)) this.#isSorted = false;
    this.#timesUs[at] = timeUs;
    return at;
  }

  put(field: number, at: number, value: number): void {
    const values = this.#values[field];
    if (values) values[at] = value;
  }

  rows(): SeriesRows {
    const timesUs = this.#timesUs.slice(0, this.#count);
    const values = this.#values.map((array) => array.slice(0, this.#count));
    if (this.#isSorted) return { tags: this.#tags, timesUs, values };
    const order = Array.from(timesUs.keys()).sort(
      (left, right) => (timesUs[left] ?? 0) - (timesUs[right] ?? 0),
    );
    const sorted = (array: Float64Array) => Float64Array.from(order, (at) => array[at] ?? Number.NaN);
    return { tags: this.#tags, timesUs: sorted(timesUs), values: values.map(sorted) };
  }

  #grow(): void {
    const grown = (array: Float64Array) => {
      const larger = new Float64Array(2 * array.length).fill(Number.NaN);
      larger.set(array);
      return larger;
    };
    this.#timesUs = grown(this.#timesUs);
    for (const [field, array] of this.#values.entries()) this.#values[field] = grown(array);
  }
}
