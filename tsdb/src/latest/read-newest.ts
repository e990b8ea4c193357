/**
 * The newest row of every series in a relation, by DuckDB. All of it comes into memory: a row per series, at most `rowsMax`.
 */
import { timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import type { Row, Session } from '../delta/duckdb.js';
import { shownFields } from '../delta/shown-fields.js';
import { quoteName } from '../delta/sql-text.js';
import { tagNames, type LatestValue, type SeriesRows } from './series.js';

const time = quoteName(timeColumnName);

/** `relation` has the table's columns, as files have them. Undefined when there are more series than `rowsMax`. */
export async function readNewest(
  session: Session,
  relation: string,
  columns: TableColumns,
  rowsMax: number,
): Promise<SeriesRows[] | undefined> {
  const rows = await session.rows(newestSql(relation, columns, rowsMax + 1));
  if (rows.length > rowsMax) return undefined;
  const names = { tags: tagNames(columns), fields: shownFields(columns).map(({ name }) => name) };
  return rows.map((row) => toSeriesRows(row, names));
}

function newestSql(relation: string, columns: TableColumns, limit: number): string {
  const tags = tagNames(columns).map((name, index) => `${quoteName(name)} AS tag_${index}`);
  const fields = shownFields(columns).map(
    ({ sql }, index) => `arg_max_null(${sql}, ${time}) AS field_${index}`,
  );
  const groups = columns.tags.length > 0 ? 'GROUP BY ALL' : 'HAVING count(*) > 0';
  return `
    SELECT ${[...tags, `epoch_us(min(${time})) AS oldest_us`, `epoch_us(max(${time})) AS time_us`, ...fields].join(', ')}
    FROM ${relation} ${groups} LIMIT ${limit}`;
}

function toSeriesRows(row: Row, names: { tags: readonly string[]; fields: readonly string[] }): SeriesRows {
  const tags: Record<string, string> = {};
  const values: Record<string, LatestValue> = {};
  for (const [index, name] of names.tags.entries()) {
    const value = row[`tag_${index}`];
    if (typeof value === 'string') tags[name] = value;
  }
  for (const [index, name] of names.fields.entries()) {
    const value = row[`field_${index}`];
    if (value !== null && value !== undefined) values[name] = value;
  }
  return { tags, oldestUs: Number(row['oldest_us']), timeUs: Number(row['time_us']), values };
}
