/**
 * Which incoming rows may meet rows that the table has. Pure.
 *
 * A row that is newer than everything known of its series can meet none: the fast lane. So can every row of a series that is
 * not known. All others are late, or repeated.
 */
import { seriesKey, type LatestRow, type LatestRows, type SeriesRows } from '../latest/series.js';

/** More late series than that are not told apart. */
const lateSeriesMax = 1_000;

/** Rows of a series up to its newest known one. */
export type LateSeries = Pick<LatestRow, 'tags'> & { readonly markUs: number };

/** 'all': any row may. `marks` undefined: nothing is known. */
export function planLate(
  incoming: readonly SeriesRows[] | undefined,
  marks: LatestRows | undefined,
): readonly LateSeries[] | 'all' {
  if (!incoming || !marks) return 'all';
  const late: LateSeries[] = [];
  for (const { tags, oldestUs } of incoming) {
    const mark = marks.get(seriesKey(tags));
    if (mark && oldestUs <= mark.timeUs) late.push({ tags, markUs: mark.timeUs });
    if (late.length > lateSeriesMax) return 'all';
  }
  return late;
}
