/**
 * The rows of several shipments as rows of one table, each (tags, time) once. They stay in DuckDB.
 *
 * 1. `shipped`: all raw tables under the table's columns, values cast, missing columns null; values that do not fit a
 *    declared resolution beside it.
 * 2. `incoming`: of rows with one (tags, time) the last value that is not null, field by field (DESIGN I7): `arg_max`
 *    leaves nulls out, and GROUP BY takes null tags for equal. Where no two rows meet, which is the ordinary case,
 *    `incoming` is `shipped` and nothing is copied.
 * 3. The UTC days that the rows lie in.
 */
import { timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import type { Session } from '../delta/duckdb.js';
import { valueColumns, type ValueColumn } from '../delta/schema.js';
import { pairFields } from '../delta/shown-fields.js';
import { quoteName, storedSqlType, utcDate } from '../delta/sql-text.js';
import { orderColumn, type RawTable } from './load-shipments.js';
import { lastWriteSql } from './merge-fields.js';
import type { ColumnMapping, ColumnsPlan } from './plan-columns.js';
import { fittingSql, misfitSql } from './plan-decimals.js';
import type { IncomingDay } from './plan-overlap.js';

/** The relation with the merged rows: `time`, tags, fields. */
export const incomingRelation = 'incoming';
const shippedRelation = 'shipped';
const time = quoteName(timeColumnName);

/** `plan.mappings` belong to `rawTables`, of which there is at least one. Returns the days in order. */
export async function mergeShipments(
  session: Session,
  rawTables: readonly RawTable[],
  { columns, mappings }: ColumnsPlan,
): Promise<IncomingDay[]> {
  const parts = rawTables.map((rawTable, index) => selectRaw(rawTable, columns, mappings[index] ?? []));
  await session.run(`CREATE TEMP VIEW ${shippedRelation} AS ${parts.join(' UNION ALL BY NAME ')}`);
  await session.run((await hasDuplicates(session, columns)) ? mergeSql(columns) : renameSql(columns));
  return await readDays(session);
}

function selectRaw(rawTable: RawTable, columns: TableColumns, mapping: readonly ColumnMapping[]): string {
  const sourceOf = new Map(mapping.map(({ source, target }) => [target, quoteName(source)]));
  const cast = (column: ValueColumn) =>
    `CAST(${sourceOf.get(column.name) ?? 'NULL'} AS ${storedSqlType(column)}) AS ${quoteName(column.name)}`;
  const tags = valueColumns({ ...columns, fields: [] }).map(cast);
  const fields = pairFields(columns.fields).flatMap(({ column, beside }) => {
    const source = sourceOf.get(column.name);
    if (column.decimals === undefined || source === undefined)
      return [column, ...(beside ? [beside] : [])].map(cast);
    const fitting = `${fittingSql(source, column)} AS ${quoteName(column.name)}`;
    return beside ? [fitting, `${misfitSql(source, column)} AS ${quoteName(beside.name)}`] : [fitting];
  });
  return `SELECT ${[orderColumn, time, ...tags, ...fields].join(', ')} FROM ${quoteName(rawTable.name)}`;
}

async function hasDuplicates(session: Session, columns: TableColumns): Promise<boolean> {
  const [row] = await session.rows(`
    SELECT (SELECT count(*) FROM ${shippedRelation}) > count(*) AS has_duplicates
    FROM (SELECT 1 FROM ${shippedRelation} GROUP BY ${identity(columns)})`);
  return row?.['has_duplicates'] === true;
}

function mergeSql(columns: TableColumns): string {
  const fields = lastWriteSql(columns.fields, orderColumn);
  return `
    CREATE TEMP TABLE ${incomingRelation} AS
    SELECT ${[identity(columns), ...fields].join(', ')}
    FROM ${shippedRelation} GROUP BY ${identity(columns)}`;
}

function renameSql(columns: TableColumns): string {
  const names = [identity(columns), ...columns.fields.map(({ name }) => quoteName(name))];
  return `CREATE TEMP VIEW ${incomingRelation} AS SELECT ${names.join(', ')} FROM ${shippedRelation}`;
}

function identity({ tags }: TableColumns): string {
  return [time, ...tags.map(({ name }) => quoteName(name))].join(', ');
}

async function readDays(session: Session): Promise<IncomingDay[]> {
  const rows = await session.rows(`
    SELECT
      CAST(${utcDate(time)} AS VARCHAR) AS day,
      epoch_us(min(${time})) AS min_time_us,
      epoch_us(max(${time})) AS max_time_us
    FROM ${incomingRelation} GROUP BY 1 ORDER BY 1`);
  return rows.map((row) => ({
    day: String(row['day']),
    minTimeUs: Number(row['min_time_us']),
    maxTimeUs: Number(row['max_time_us']),
  }));
}
