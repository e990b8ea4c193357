/**
 * In which days, and at which times, the late rows of the incoming ones lie (`planLate`).
 */
import { timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import type { Session } from '../delta/duckdb.js';
import { quoteName, quoteText, timestampUs, utcDate } from '../delta/sql-text.js';
import { tagNames } from '../latest/series.js';
import { incomingRelation } from './merge-shipments.js';
import type { LateSeries } from './plan-late.js';
import type { IncomingDay, LateRows } from './plan-overlap.js';

const time = quoteName(timeColumnName);

/** By day; days without late rows are left out. */
export async function findLate(
  session: Session,
  columns: TableColumns,
  days: readonly IncomingDay[],
  late: readonly LateSeries[] | 'all',
): Promise<ReadonlyMap<string, LateRows>> {
  if (late === 'all') return new Map(days.map((day) => [day.day, { ...day, series: undefined }]));
  if (late.length === 0) return new Map();
  const series = late.map(({ tags }) => tags);
  const rows = await session.rows(lateSql(tagNames(columns), late));
  return new Map(
    rows.map((row): [string, LateRows] => {
      const day = String(row['day']);
      const range = { minTimeUs: Number(row['min_us']), maxTimeUs: Number(row['max_us']) };
      return [day, { day, ...range, series }];
    }),
  );
}

function lateSql(tags: readonly string[], late: readonly LateSeries[]): string {
  const rows = late.map(({ tags: values, markUs }) => {
    const texts = tags.map((tag) => (values[tag] === undefined ? 'NULL::VARCHAR' : quoteText(values[tag])));
    return `(${[...texts, timestampUs(markUs)].join(', ')})`;
  });
  const names = [...tags.map((_, index) => `tag_${index}`), 'mark'];
  const isSame = tags.map(
    (tag, index) => `incoming.${quoteName(tag)} IS NOT DISTINCT FROM late.tag_${index}`,
  );
  return `
    SELECT
      CAST(${utcDate(time)} AS VARCHAR) AS day,
      epoch_us(min(${time})) AS min_us,
      epoch_us(max(${time})) AS max_us
    FROM ${incomingRelation} AS incoming
    JOIN (VALUES ${rows.join(', ')}) AS late(${names.join(', ')}) ON ${[...isSame, `incoming.${time} <= late.mark`].join(' AND ')}
    GROUP BY 1`;
}
