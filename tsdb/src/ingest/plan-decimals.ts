/**
 * Values for columns with a declared resolution: those that are a decimal of the column go into it, all others beside it,
 * as the doubles they are. Pure, but for the look at the values.
 *
 * A value fits if the decimal nearest to it, as a double again, is the value: not if it has more decimals, is too large, or
 * is NaN or infinite. (-0 fits as 0.) So nothing is rounded, and the double that a query makes of a decimal is the sensor's.
 */
import type { Field } from '@varve/common/contract/columns.js';
import type { Session } from '../delta/duckdb.js';
import { pairFields } from '../delta/shown-fields.js';
import { quoteName, storedSqlType } from '../delta/sql-text.js';
import { doubleBeside, type ColumnsPlan } from './plan-columns.js';
import type { RawTable } from './load-shipments.js';

/** The plan with a double beside each decimal column that some value of `rawTables` does not fit. */
export async function planMisfits(
  session: Session,
  rawTables: readonly RawTable[],
  plan: ColumnsPlan,
): Promise<ColumnsPlan> {
  const missing = pairFields(plan.columns.fields).flatMap(({ column, beside }) =>
    column.decimals !== undefined && !beside ? [column] : [],
  );
  const misfits = new Set<Field>();
  for (const [index, rawTable] of rawTables.entries())
    for (const column of await findMisfits(session, rawTable, plan.mappings[index] ?? [], missing))
      misfits.add(column);
  return addBeside(plan, [...misfits]);
}

async function findMisfits(
  session: Session,
  { name }: RawTable,
  mapping: ColumnsPlan['mappings'][number],
  columns: readonly Field[],
): Promise<Field[]> {
  const looked = columns.flatMap((column) => {
    const source = mapping.find(({ target }) => target === column.name)?.source;
    return source === undefined ? [] : [{ column, misfit: misfitSql(quoteName(source), column) }];
  });
  if (looked.length === 0) return [];
  const counts = looked.map(({ misfit }, index) => `count(${misfit}) AS misfits_${index}`);
  const [row = {}] = await session.rows(`SELECT ${counts.join(', ')} FROM ${quoteName(name)}`);
  return looked.flatMap(({ column }, index) => (Number(row[`misfits_${index}`]) > 0 ? [column] : []));
}

function addBeside(plan: ColumnsPlan, columns: readonly Field[]): ColumnsPlan {
  if (columns.length === 0) return plan;
  const { tags } = plan.columns;
  const fields = [...plan.columns.fields];
  for (const { name, originalName } of columns)
    fields.push({
      name: doubleBeside(fields, tags, name),
      ...(originalName !== undefined && { originalName }),
      type: 'double',
      sideOf: name,
    });
  return { ...plan, columns: { tags, fields: fields.sort(byName) }, hasNewColumns: true };
}

function byName(left: Field, right: Field): number {
  return left.name < right.name ? -1 : 1;
}

/** The value where it fits, else null. `value` is a double or a long. */
export function fittingSql(value: string, column: Field): string {
  const decimal = `TRY_CAST(${value} AS ${storedSqlType(column)})`;
  return `CASE WHEN CAST(${decimal} AS DOUBLE) = CAST(${value} AS DOUBLE) THEN ${decimal} END`;
}

/** The value where it does not fit, else null. */
export function misfitSql(value: string, column: Field): string {
  const decimal = `TRY_CAST(${value} AS ${storedSqlType(column)})`;
  return `CASE WHEN coalesce(CAST(${decimal} AS DOUBLE) = CAST(${value} AS DOUBLE), false) THEN NULL ELSE CAST(${value} AS DOUBLE) END`;
}
