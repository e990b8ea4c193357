/** The columns of a shipment that some rows have been left out of, and that rows held back before have been added to. */
import { sideColumnName, type FieldType } from '@varve/common/contract/columns.js';
import { ColumnBuffer, type ColumnValue } from '../batch/column-buffer.js';
import type { BatchColumns, NamedColumn } from '../batch/table-batch.js';
import { isValid } from '../encode/sort-rows.js';

/** Whose values stand in the column: `x__string` is of field `x`. */
export function fieldOfColumn({ name, type }: Pick<NamedColumn, 'name' | 'type'>): string {
  const suffix = sideColumnName('', type);
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

/**
 * Rows that leave, behind those that were released, which came before them. The columns are those of all rows, named as they
 * are there.
 */
export function composeRows(
  rows: BatchColumns,
  leaves: Uint8Array,
  leavingCount: number,
  released: BatchColumns | undefined,
): BatchColumns {
  if (leavingCount === rows.rowCount && !released) return rows;
  const kept = rowsThatLeave(leaves, leavingCount);
  const firstCount = released?.rowCount ?? 0;
  const rowCount = firstCount + kept.length;
  const timeUs = new Float64Array(rowCount);
  timeUs.set(released?.timeUs ?? []);
  for (const [index, row] of kept.entries()) timeUs[firstCount + index] = rows.timeUs[row] ?? 0;
  const tagNames = new Set(rows.tags.map(({ name }) => name));
  const build = (columns: readonly NamedColumn[], more: readonly NamedColumn[], isTag: boolean) =>
    joinColumns(columns, more, isTag ? undefined : tagNames)
      .map(({ name, type, first, then }) => {
        const built = new ColumnBuffer(type);
        if (first) for (let row = 0; row < firstCount; row++) copyValue(first, row, built, row);
        if (then) for (const [index, row] of kept.entries()) copyValue(then, row, built, firstCount + index);
        return { name, ...built.finish(rowCount) };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    ...rows,
    ...{ rowCount, timeUs },
    tags: build(rows.tags, released?.tags ?? [], true),
    fields: build(rows.fields, released?.fields ?? [], false),
  };
}

interface JoinedColumn {
  readonly name: string;
  readonly type: FieldType;
  readonly first: NamedColumn | undefined;
  readonly then: NamedColumn | undefined;
}

/** `tagNames`: of fields. */
function joinColumns(
  columns: readonly NamedColumn[],
  released: readonly NamedColumn[],
  tagNames: ReadonlySet<string> | undefined,
): JoinedColumn[] {
  const joined = columns.map((then): JoinedColumn => ({
    ...{ name: then.name, type: then.type, then },
    first: released.find((first) => isSameField(first, then)),
  }));
  const taken = new Set(columns.map(({ name }) => name));
  for (const first of released) {
    if (columns.some((then) => isSameField(first, then))) continue;
    const field = fieldOfColumn(first);
    const isTaken = taken.has(field) || tagNames?.has(field) === true;
    const name = isTaken && tagNames ? sideColumnName(field, first.type) : field;
    taken.add(name);
    joined.push({ name, type: first.type, first, then: undefined });
  }
  return joined;
}

function isSameField(a: NamedColumn, b: NamedColumn): boolean {
  return a.type === b.type && fieldOfColumn(a) === fieldOfColumn(b);
}

function rowsThatLeave(leaves: Uint8Array, count: number): Uint32Array {
  const rows = new Uint32Array(count);
  let at = 0;
  for (let row = 0; row < leaves.length; row++) if (leaves[row] === 1) rows[at++] = row;
  return rows;
}

function copyValue(from: NamedColumn, row: number, to: ColumnBuffer, target: number): void {
  if (isValid(from.validity, row)) to.set(target, valueAt(from, row));
}

function valueAt({ type, values, texts, longs }: NamedColumn, row: number): ColumnValue {
  const value = values[row] ?? 0;
  if (type === 'string') return texts[value] ?? '';
  return longs && !Number.isSafeInteger(value) ? (longs[row] ?? 0n) : value;
}
