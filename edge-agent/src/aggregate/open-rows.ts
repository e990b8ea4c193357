/**
 * Rows of windows that are still open: the columns of past shipments, kept until the last window they belong to is written.
 *
 * What is here is in shipments already, or is dropped as raw rows; it is lost with the process, and read again from the log
 * (`replay`).
 */
import { sideColumnName, type FieldType } from '@varve/common/contract/columns.js';
import { ColumnBuffer } from '../batch/column-buffer.js';
import { decimalsOf, planPlainType, type BatchColumns, type NamedColumn } from '../batch/table-batch.js';
import { isValid } from '../encode/sort-rows.js';

/** Some rows of a batch. */
export interface RowSelection {
  readonly columns: BatchColumns;
  readonly rows: readonly number[];
}

/** The rows whose time is in [fromUs, belowUs). */
export function selectRows(columns: BatchColumns, fromUs: number, belowUs: number): RowSelection {
  const rows: number[] = [];
  for (let row = 0; row < columns.rowCount; row++) {
    const time = columns.timeUs[row] ?? 0;
    if (time >= fromUs && time < belowUs) rows.push(row);
  }
  return { columns, rows };
}

/**
 * All of them as one batch, in their order. Columns are named anew, by the types of all: what a column is called must not
 * depend on how its rows were cut into batches.
 */
export function gatherRows(
  selections: readonly RowSelection[],
  declaredTypes: ReadonlyMap<string, FieldType>,
): BatchColumns {
  const rowCount = selections.reduce((sum, { rows }) => sum + rows.length, 0);
  const timeUs = new Float64Array(rowCount);
  const tags = new GatheredColumns();
  const fields = new GatheredColumns();
  let at = 0;
  for (const { columns, rows } of selections) {
    for (const [index, row] of rows.entries()) timeUs[at + index] = columns.timeUs[row] ?? 0;
    for (const tag of columns.tags) tags.copy(tag, rows, at);
    for (const field of columns.fields) fields.copy(field, rows, at);
    at += rows.length;
  }
  const gathered = { tags: tags.finish(rowCount, new Map()), fields: fields.finish(rowCount, declaredTypes) };
  const decimals = new Map<string, number>();
  for (const { columns } of selections)
    for (const [name, count] of Object.entries(columns.decimals ?? {})) decimals.set(name, count);
  return {
    ...{ rowCount, timeUs, ...gathered, originalNames: {} },
    ...(decimals.size > 0 && { decimals: decimalsOf(gathered.fields, decimals) }),
  };
}

class GatheredColumns {
  /** By field, by type. */
  readonly #fields = new Map<string, Map<FieldType, ColumnBuffer>>();

  copy(column: NamedColumn, rows: readonly number[], at: number): void {
    const target = this.#columnOf(fieldOf(column), column.type);
    const isText = column.type === 'string';
    for (const [index, row] of rows.entries()) {
      if (!isValid(column.validity, row)) continue;
      const value = column.values[row] ?? 0;
      target.set(at + index, isText ? (column.texts[value] ?? '') : value);
    }
  }

  /** By name. */
  finish(rowCount: number, declaredTypes: ReadonlyMap<string, FieldType>): NamedColumn[] {
    return [...this.#fields]
      .flatMap(([field, columns]) => {
        const plain = planPlainType([...columns.keys()], declaredTypes.get(field));
        return [...columns].map(([type, column]) => ({
          name: type === plain ? field : sideColumnName(field, type),
          ...column.finish(rowCount),
        }));
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #columnOf(field: string, type: FieldType): ColumnBuffer {
    const columns = this.#fields.get(field) ?? new Map<FieldType, ColumnBuffer>();
    this.#fields.set(field, columns);
    const column = columns.get(type) ?? new ColumnBuffer(type);
    columns.set(type, column);
    return column;
  }
}

/** Whose values stand in the column: `x__string` is of field `x`. */
function fieldOf({ name, type }: NamedColumn): string {
  const suffix = sideColumnName('', type);
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}
