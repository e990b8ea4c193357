/**
 * The fields that a query sees, of the columns that data files have. Pure.
 *
 * A double with a declared resolution is stored as a decimal, and what does not fit – more decimals, too large, NaN – beside
 * it as a double; beside a long stands a double where a sensor sends both. Either pair is one double column to every query
 * of ours. In a row at most one of the two has a value: a write to one takes the other's away (`ingest/merge-shipments.ts`).
 * Side columns of other types stay columns of their own. So do all columns of a table of aggregates, where counts and sums of
 * two columns must not mix.
 */
import type { Field, TableColumns } from '@varve/common/contract/columns.js';
import { quoteName, sqlType } from './sql-text.js';

/** A column that holds values, and the double beside it that holds the others. */
export interface FieldColumns {
  readonly column: Field;
  readonly beside?: Field | undefined;
}

/** Every field column once, in order of their names. */
export function pairFields(fields: readonly Field[]): FieldColumns[] {
  const besideOf = new Map(
    fields.flatMap((field) =>
      field.sideOf !== undefined && field.type === 'double' ? [[field.sideOf, field]] : [],
    ),
  );
  const pairs = fields.map((column): FieldColumns => ({
    column,
    beside: takesDoubleBeside(column) ? besideOf.get(column.name) : undefined,
  }));
  const hidden = new Set(pairs.map(({ beside }) => beside));
  return pairs.filter(({ column }) => !hidden.has(column));
}

/** Whether a double beside the column is one field with it. */
export function takesDoubleBeside({ type, decimals, sideOf }: Field): boolean {
  return sideOf === undefined && (type === 'long' || decimals !== undefined);
}

/** A field as queries see it; never has `decimals`. */
export interface ShownField extends Omit<Field, 'decimals' | 'sideOf'> {
  /** Its value, over a row of data files. */
  readonly sql: string;
}

export function shownFields({ fields }: Pick<TableColumns, 'fields'>): ShownField[] {
  return pairFields(fields).map(({ column, beside }): ShownField => {
    const { name, originalName, type } = column;
    const shown = { name, ...(originalName !== undefined && { originalName }) };
    if (!beside) return { ...shown, type, sql: `${quoteName(name)}::${sqlType(type)}` };
    const sql = `coalesce(${quoteName(name)}::${sqlType('double')}, ${quoteName(beside.name)}::${sqlType('double')})`;
    return { ...shown, type: 'double', sql };
  });
}
