/**
 * Readings that come again after their window was written. Pure.
 *
 * A value counts once for its (tags, time, field): of rows that are written together the last wins, as in a table of rows. What
 * has been written stays: partials are only ever added, so a value that comes again later is left out, also when it is
 * another one. That it has been written is known as long as the rows are remembered (`stream-aggregator.ts`).
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import type { BatchColumns, NamedColumn } from '../batch/table-batch.js';
import { isValid } from '../encode/sort-rows.js';
import { gatherRows, selectRows, type RowSelection } from './open-rows.js';

/** Of `late`, rows of windows that have been written, what is in none of `written`. */
export function leaveOutRepeats(
  late: RowSelection,
  written: readonly BatchColumns[],
  declaredTypes: ReadonlyMap<string, FieldType>,
): RowSelection {
  const known = late.rows.length > 0 ? findSameTimes(late, written) : [];
  if (known.length === 0) return late;
  // As one batch, so that a tag's value has one code.
  const { timeUs, tags, fields, ...rest } = gatherRows([...known, late], declaredTypes);
  const lateFrom = known.reduce((sum, { rows }) => sum + rows.length, 0);
  const keyOf = (row: number) =>
    [timeUs[row], ...tags.map((tag) => (isValid(tag.validity, row) ? tag.values[row] : ''))].join();
  const writtenRows = new Map<string, number[]>();
  for (let row = 0; row < lateFrom; row++)
    writtenRows.set(keyOf(row), [...(writtenRows.get(keyOf(row)) ?? []), row]);
  const kept = fields.map((field) => ({ ...field, validity: field.validity.slice() }));
  const rows: number[] = [];
  for (let row = lateFrom; row < timeUs.length; row++) {
    const same = writtenRows.get(keyOf(row)) ?? [];
    for (const [index, field] of fields.entries())
      if (same.some((other) => isValid(field.validity, other))) unset(kept[index], row);
    if (kept.some(({ validity }) => isValid(validity, row))) rows.push(row);
  }
  const hasSome = ({ validity }: NamedColumn) => rows.some((row) => isValid(validity, row));
  return { columns: { ...rest, timeUs, tags, fields: kept.filter(hasSome) }, rows };
}

/** Most late rows have nothing of their time among what was written: that is all it costs to know. */
function findSameTimes(late: RowSelection, written: readonly BatchColumns[]): RowSelection[] {
  const times = new Set(late.rows.map((row) => late.columns.timeUs[row]));
  return written
    .map((columns) => {
      const { rows } = selectRows(columns, -Infinity, Infinity);
      return { columns, rows: rows.filter((row) => times.has(columns.timeUs[row])) };
    })
    .filter(({ rows }) => rows.length > 0);
}

function unset(column: NamedColumn | undefined, row: number): void {
  if (column) column.validity[row >> 3] = (column.validity[row >> 3] ?? 0) & ~(1 << (row & 7));
}
