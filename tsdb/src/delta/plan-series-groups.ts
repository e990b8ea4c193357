/**
 * When row groups of a data file end with series. Pure; measured by `npm run bench -- lake-size`.
 *
 * Decimals are delta-coded in blocks of 2,048 values. Where one series ends inside a block and the next one begins, the step
 * between the two makes the whole block wide: of a day at a reading every 10 s, 0.54 bytes a value. So a file of long series
 * has row groups of a few whole ones: 0.52 with three of them, 0.51 with one, of which scans of everything would take twice
 * as long as of large row groups; of three a fifth longer. Doubles gain nothing: their dictionaries are the better the more
 * rows share one.
 *
 * DuckDB ends a row group with the first batch of up to 2,048 rows that brings it to `ROW_GROUP_SIZE`. Batches end where we
 * want it (`data-file-writer.ts`), so that with the size of the shortest group all of about that size end there too.
 */
import type { TableColumns } from '@varve/common/contract/columns.js';
import { rowGroupRows, type Encoding } from './plan-encoding.js';
import type { SeriesCounts } from './number-series.js';

/** Of shorter ones there would be too many in a group for its end to matter. */
const seriesRowsMin = 4_096;
const groupRowsMin = 20_480;
/** One SELECT each. */
const groupsMax = 1_000;
/** They are kept sorted beside the file that is written: some 600 MB, of which DuckDB spills what is too much. */
const rowsMax = 10_000_000;
/** So much longer than the shortest, a group still ends a row group more often than not. */
const spreadRowsMax = 1_024;

/** Level 15 takes 2 % less than 9 of these, for which the whole file takes 5 % more time. */
export const seriesGroupEncoding: Encoding = {
  parquetVersion: 'v2',
  // More than a group has series. Decimals with so few values are small in a dictionary, too.
  dictionaryValuesMax: 8,
  zstdLevel: 15,
};

export interface SeriesGroups {
  /** Rows of each, in the order of the file. */
  readonly groups: readonly number[];
  readonly rowGroupSize: number;
}

/** Whether it is worth while to look at the length of every series. */
export function mayEndWithSeries(
  { fields }: TableColumns,
  { series, rows, rowsMax: longest }: SeriesCounts,
): boolean {
  const isDecimal = ({ decimals }: TableColumns['fields'][number]) => decimals !== undefined;
  return (
    fields.some(isDecimal) &&
    fields.every((field) => isDecimal(field) || field.type === 'long' || field.type === 'boolean') &&
    rows <= rowsMax &&
    rows >= series * seriesRowsMin &&
    longest <= rowGroupRows
  );
}

/** `seriesRows`: of each series, in the order of the file. Undefined where row groups are better cut without a look at them. */
export function planSeriesGroups(seriesRows: readonly number[]): SeriesGroups | undefined {
  const groups: number[] = [];
  let rows = 0;
  for (const count of seriesRows) {
    rows += count;
    if (rows < groupRowsMin) continue;
    groups.push(rows);
    rows = 0;
  }
  if (groups.length === 0 || groups.length > groupsMax) return undefined;
  const sorted = [...groups].sort((left, right) => left - right);
  // A few may be shorter, or longer: of a sensor that came, or went, on that day.
  const size = sorted[Math.floor(sorted.length / 10)] ?? 0;
  const longest = sorted[Math.ceil((sorted.length * 9) / 10) - 1] ?? 0;
  if (longest - size > spreadRowsMax) return undefined;
  return { groups: rows > 0 ? [...groups, rows] : groups, rowGroupSize: size };
}
