/**
 * The series of some rows, numbered in the order of their tags, as a temporary table: its columns are the tags, `@id` from 1
 * on, `@rows`, and `@rows_through` for all up to this one. Names of columns of ours never begin with @.
 *
 * Rows are sorted by `@id` and time where they are to be sorted by tags and time: that takes a third of the time, since
 * DuckDB compares texts far slower than numbers (0.3 s in place of 0.9 for a day of 1.7 million rows with two tags).
 */
import type { TableColumns } from '@varve/common/contract/columns.js';
import type { Session } from './duckdb.js';
import { quoteName } from './sql-text.js';

export interface SeriesCounts {
  readonly series: number;
  readonly rows: number;
  /** Of the longest series. */
  readonly rowsMax: number;
}

/** `relation` has the table's columns, at least one tag among them. `table` is dropped by whoever had it made. */
export async function numberSeries(
  session: Session,
  table: string,
  relation: string,
  { tags }: TableColumns,
): Promise<SeriesCounts> {
  const names = tags.map(({ name }) => quoteName(name)).join(', ');
  await session.run(`
    CREATE TEMP TABLE ${table} AS
    SELECT ${names}, "@rows",
      (row_number() OVER in_order)::INTEGER AS "@id",
      sum("@rows") OVER (in_order ROWS UNBOUNDED PRECEDING)::BIGINT AS "@rows_through"
    FROM (SELECT ${names}, count(*) AS "@rows" FROM ${relation} GROUP BY ${names})
    WINDOW in_order AS (ORDER BY ${names})`);
  const [row] = await session.rows(
    `SELECT count(*) AS series, coalesce(sum("@rows"), 0) AS row_count, coalesce(max("@rows"), 0) AS rows_max FROM ${table}`,
  );
  return {
    series: Number(row?.['series']),
    rows: Number(row?.['row_count']),
    rowsMax: Number(row?.['rows_max']),
  };
}

/** A condition on aliases of two relations that both have the tags; null tags are equal. */
export function isSameSeries({ tags }: TableColumns, left: string, right: string): string {
  return tags
    .map(({ name }) => `${left}.${quoteName(name)} IS NOT DISTINCT FROM ${right}.${quoteName(name)}`)
    .join(' AND ');
}
