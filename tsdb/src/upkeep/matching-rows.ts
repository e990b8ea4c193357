/**
 * The rows of data files that a delete means, and the others, as SQL.
 *
 * The expression stands alone in brackets, on lines of its own, as an item of a SELECT: where it was checked it stood so, too,
 * so that it means the same here, whatever is in it. A row for which it is null stays.
 */
import { timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import { Failure } from '@varve/common/errors.js';
import { SqlError, type Session } from '../delta/duckdb.js';
import { rowsOfFiles } from '../delta/file-rows.js';
import { valueColumns } from '../delta/schema.js';
import { quoteName, quoteText, sqlType, timeSqlType, timestampUs } from '../delta/sql-text.js';
import type { DeleteTask } from './delete-task.js';
import type { TimeRange } from './plan-delete.js';

// No column of a table has a name like these.
const fileColumn = '@file';
const matchColumn = '@match';

interface LocalFile {
  readonly path: string;
  readonly localPath: string;
}

export interface MatchCount {
  readonly matching: number;
  readonly total: number;
}

/** @throws Failure `sql_invalid` with what DuckDB finds wrong */
export async function checkCondition(session: Session, columns: TableColumns, where: string): Promise<void> {
  const nulls = [
    `NULL::${timeSqlType} AS ${quoteName(timeColumnName)}`,
    ...valueColumns(columns).map(({ name, type }) => `NULL::${sqlType(type)} AS ${quoteName(name)}`),
    'NULL::DATE AS "day"',
  ];
  try {
    await session.rows(marked(`(SELECT ${nulls.join(', ')})`, where));
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
  columns: TableColumns,
  { where, range }: DeleteTask,
  files: readonly LocalFile[],
): Promise<ReadonlyMap<string, MatchCount>> {
  if (files.length === 0) return new Map();
  const numbers = files.map(({ localPath }, index) => `WHEN ${quoteText(localPath)} THEN ${index}`);
  const relation = rowsOfFiles(
    files.map(({ localPath }) => localPath),
    columns,
    fileColumn,
  );
  const rows = await session.rows(`
    SELECT CASE "${fileColumn}" ${numbers.join(' ')} END AS number,
      count(*) AS total, count(*) FILTER (WHERE "${matchColumn}" AND ${isInside(range)}) AS matching
    FROM (${marked(relation, where)}) GROUP BY 1`);
  return new Map(
    rows.flatMap((row): [string, MatchCount][] => {
      const file = files[Number(row['number'])];
      return file ? [[file.path, { matching: Number(row['matching']), total: Number(row['total']) }]] : [];
    }),
  );
}

/** A query in brackets: what is left of a file. */
export function keptRows(columns: TableColumns, { where, range }: DeleteTask, localPath: string): string {
  const rows = marked(rowsOfFiles([localPath], columns), where);
  return `(
    SELECT * EXCLUDE ("${matchColumn}") FROM (${rows})
    WHERE NOT coalesce("${matchColumn}" AND ${isInside(range)}, false))`;
}

function marked(relation: string, where: string | undefined): string {
  return `SELECT *, CAST((\n${where ?? 'true'}\n) AS BOOLEAN) AS "${matchColumn}" FROM ${relation}`;
}

function isInside({ startUs, endUs }: TimeRange): string {
  const time = quoteName(timeColumnName);
  return [
    'true',
    ...(Number.isFinite(startUs) ? [`${time} >= ${timestampUs(startUs)}`] : []),
    ...(Number.isFinite(endUs) ? [`${time} < ${timestampUs(endUs)}`] : []),
  ].join(' AND ');
}
