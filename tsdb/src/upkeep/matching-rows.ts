/**
 * The rows of data files that a delete means, and the others, as SQL.
 *
 * The expression stands alone in brackets, on lines of its own, as an item of a SELECT: where it was checked it stood so, too,
 * so that it means the same here, whatever is in it. A row for which it is null stays.
 *
 * It is judged over the columns that queries see – a column and the double beside it are one –, and what is kept are the
 * columns that are stored.
 */
import { timeColumnName } from '@varve/common/contract/columns.js';
import { Failure } from '@varve/common/errors.js';
import { SqlError, type Session } from '../delta/duckdb.js';
import { rowsOfFiles } from '../delta/file-rows.js';
import { valueColumns } from '../delta/schema.js';
import { shownFields } from '../delta/shown-fields.js';
import type { Snapshot } from '../delta/snapshot.js';
import { quoteName, quoteText, storedSqlType, timeSqlType, timestampUs } from '../delta/sql-text.js';
import type { DeleteTask } from './delete-task.js';
import type { TimeRange } from './plan-delete.js';

// No column of a table has a name like these.
const fileColumn = '@file';
const matchColumn = '@match';
const storedRow = '@stored';

type Table = Pick<Snapshot, 'columns' | 'aggregate'>;

interface LocalFile {
  readonly path: string;
  readonly localPath: string;
}

export interface MatchCount {
  readonly matching: number;
  readonly total: number;
}

/** @throws Failure `sql_invalid` with what DuckDB finds wrong */
export async function checkCondition(session: Session, table: Table, where: string): Promise<void> {
  const nulls = [
    `NULL::${timeSqlType} AS ${quoteName(timeColumnName)}`,
    ...valueColumns(table.columns).map(
      (column) => `NULL::${storedSqlType(column)} AS ${quoteName(column.name)}`,
    ),
    'NULL::DATE AS "day"',
  ];
  try {
    await session.rows(marked(`(SELECT ${nulls.join(', ')})`, table, where));
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    throw new Failure('sql_invalid', `where: ${error.message}`, {
      cause: error,
      hint: `such as "device = 'dev-1' and temperature > 100"`,
    });
  }
}

/** By `DataFile.path`. */
export async function countMatches(
  session: Session,
  table: Table,
  { where, range }: DeleteTask,
  files: readonly LocalFile[],
): Promise<ReadonlyMap<string, MatchCount>> {
  if (files.length === 0) return new Map();
  const numbers = files.map(({ localPath }, index) => `WHEN ${quoteText(localPath)} THEN ${index}`);
  const relation = rowsOfFiles(
    files.map(({ localPath }) => localPath),
    table.columns,
    fileColumn,
  );
  const rows = await session.rows(`
    SELECT CASE "${fileColumn}" ${numbers.join(' ')} END AS number,
      count(*) AS total, count(*) FILTER (WHERE "${matchColumn}" AND ${isInside(range)}) AS matching
    FROM (${marked(relation, table, where)}) GROUP BY 1`);
  return new Map(
    rows.flatMap((row): [string, MatchCount][] => {
      const file = files[Number(row['number'])];
      return file ? [[file.path, { matching: Number(row['matching']), total: Number(row['total']) }]] : [];
    }),
  );
}

/** A query in brackets: what is left of a file. */
export function keptRows(table: Table, { where, range }: DeleteTask, localPath: string): string {
  const rows = marked(rowsOfFiles([localPath], table.columns), table, where);
  return `(
    SELECT * EXCLUDE ("${matchColumn}") FROM (${rows})
    WHERE NOT coalesce("${matchColumn}" AND ${isInside(range)}, false))`;
}

function marked(relation: string, table: Table, where: string | undefined): string {
  return `
    SELECT "${storedRow}".*, CAST((\n${where ?? 'true'}\n) AS BOOLEAN) AS "${matchColumn}"
    FROM (SELECT ${shownColumns(table)}, "${storedRow}" FROM ${relation} AS "${storedRow}")`;
}

/** Of a table of aggregates as they are: sums of two columns do not mix. */
function shownColumns({ columns, aggregate }: Table): string {
  if (aggregate) return '*';
  const shown = shownFields(columns);
  const names = new Set(shown.map(({ name }) => name));
  const hidden = columns.fields.filter(({ name }) => !names.has(name)).map(({ name }) => quoteName(name));
  const values = shown.map(({ name, sql }) => `${sql} AS ${quoteName(name)}`);
  return [
    '*',
    ...(hidden.length > 0 ? [`EXCLUDE (${hidden.join(', ')})`] : []),
    ...(values.length > 0 ? [`REPLACE (${values.join(', ')})`] : []),
  ].join(' ');
}

function isInside({ startUs, endUs }: TimeRange): string {
  const time = quoteName(timeColumnName);
  return [
    'true',
    ...(Number.isFinite(startUs) ? [`${time} >= ${timestampUs(startUs)}`] : []),
    ...(Number.isFinite(endUs) ? [`${time} < ${timestampUs(endUs)}`] : []),
  ].join(' AND ');
}
