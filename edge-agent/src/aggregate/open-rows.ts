/**
 * Rows of windows that are still open: the columns of past shipments, kept until the last window they belong to is written.
 *
 * What is here is in shipments already, or is dropped as raw rows; it is lost with the process, and read again from the log
 * (`replay`).
 */
import { sideColumnName, type FieldType } from '@varve/common/contract/columns.js';
import { ColumnBuffer } from '../batch/column-buffer.js';
import type { BatchColumns, NamedColumn } from '../batch/table-batch.js';
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

/** All of them as one batch, in their order. Columns of one name and several types stand side by side, as in a batch. */
export function gatherRows(selections: readonly RowSelection[]): BatchColumns {
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
  return {
    rowCount,
    timeUs,
    tags: tags.finish(rowCount),
    fields: fields.finish(rowCount),
    originalNames: {},
  };
}

class GatheredColumns {
  readonly #columns = new Map<string, ColumnBuffer>();

  copy(column: NamedColumn, rows: readonly number[], at: number): void {
    const target = this.#columnOf(column.name, column.type);
    const isText = column.type === 'string';
    for (const [index, row] of rows.entries()) {
      if (!isValid(column.validity, row)) continue;
      const value = column.values[row] ?? 0;
      target.set(at + index, isText ? (column.texts[value] ?? '') : value);
    }
  }

  /** By name. */
  finish(rowCount: number): NamedColumn[] {
    return [...this.#columns]
      .map(([name, column]) => ({ name, ...column.finish(rowCount) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #columnOf(name: string, type: FieldType): ColumnBuffer {
    let column = this.#columns.get(name);
    if (!column) {
      column = new ColumnBuffer(type);
      this.#columns.set(name, column);
    }
    return column.type === type ? column : this.#columnOf(sideColumnName(name, type), type);
  }
}
