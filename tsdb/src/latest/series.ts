/**
 * A series and its newest row, in memory. Pure.
 *
 * A series is a table's rows with one combination of tag values; a tag that is null is as good as absent, so that a series
 * stays the same when its table gets another tag.
 */
import type { TableColumns } from '@varve/common/contract/columns.js';
import type { DuckDBValue } from '@duckdb/node-api';

export type LatestValue = DuckDBValue;

export interface LatestRow {
  /** By name, without nulls. */
  readonly tags: Readonly<Record<string, string>>;
  readonly timeUs: number;
  /** By name, as queries see the fields (`delta/shown-fields.ts`); longs are bigint. A field left out is null. */
  readonly values: Readonly<Record<string, LatestValue>>;
}

/** What the rows of one commit, or of some files, say of one series. */
export interface SeriesRows extends LatestRow {
  /** `timeUs` and `values` are of the newest; this is the oldest. */
  readonly oldestUs: number;
}

/** By `seriesKey`. */
export type LatestRows = ReadonlyMap<string, LatestRow>;

export function seriesKey(tags: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(tags).sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** Last write wins, field by field, where both are of one instant; an older row changes nothing. */
export function newerOf(known: LatestRow | undefined, written: LatestRow): LatestRow {
  if (!known || written.timeUs > known.timeUs)
    return { tags: written.tags, timeUs: written.timeUs, values: written.values };
  if (written.timeUs < known.timeUs) return known;
  return { ...known, values: { ...known.values, ...written.values } };
}

/** Names of the tags, in the order of the table. */
export function tagNames({ tags }: Pick<TableColumns, 'tags'>): string[] {
  return tags.map(({ name }) => name);
}
