/**
 * What a reduced shipment was made of, so that it can be made again, the same (DESIGN I4): which rows of its messages left, one
 * bit a row, and the rows that were held before. Kept with the shipment until the store has it.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { FieldType } from '@varve/common/contract/columns.js';
import { TableBatch, type BatchColumns, type NamedColumn } from '../batch/table-batch.js';
import { isValid } from '../encode/sort-rows.js';
import type { ReduceRecipe } from '../log/edge-log.js';
import { composeRows, fieldOfColumn } from './reduced-columns.js';

/** Rows as JSON; numbers are exact to 53 bits, and others are never held. */
interface PackedRows {
  readonly timesUs: readonly number[];
  readonly columns: readonly PackedColumn[];
}

interface PackedColumn {
  readonly name: string;
  /** Absent: a tag. */
  readonly type?: FieldType;
  readonly values: readonly (number | string | null)[];
}

export function makeRecipe(leaves: Uint8Array, released: BatchColumns | undefined): ReduceRecipe {
  const bits = new Uint8Array(Math.ceil(leaves.length / 8));
  for (let row = 0; row < leaves.length; row++)
    if (leaves[row] === 1) bits[row >> 3] = (bits[row >> 3] ?? 0) | (1 << (row & 7));
  return {
    rowCount: leaves.length,
    leaves: deflateRawSync(bits).toString('base64'),
    released: released ? deflateRawSync(JSON.stringify(pack(released))).toString('base64') : null,
  };
}

export interface CookedRows {
  readonly columns: BatchColumns;
  /** Rows of which it is not known whether they were in the shipment. */
  readonly missingRows: number;
}

/**
 * The shipment's rows, from all rows of its messages. Where the log does not have all of them any more, it cannot be said which
 * of the rest left: all do.
 */
export function cookRecipe({ rowCount, leaves, released }: ReduceRecipe, rows: BatchColumns): CookedRows {
  const first =
    released === null ? undefined : unpack(JSON.parse(inflate(released).toString()) as PackedRows);
  const missingRows = Math.max(0, rowCount - rows.rowCount);
  const chosen = new Uint8Array(rows.rowCount).fill(1);
  if (missingRows === 0) {
    const bits = inflate(leaves);
    for (let row = 0; row < chosen.length; row++) chosen[row] = isValid(bits, row) ? 1 : 0;
  }
  const count = chosen.reduce((sum, one) => sum + one, 0);
  return { columns: composeRows(rows, chosen, count, first), missingRows };
}

function inflate(text: string): Buffer {
  return inflateRawSync(Buffer.from(text, 'base64'));
}

function pack({ rowCount, timeUs, tags, fields }: BatchColumns): PackedRows {
  const valuesOf = ({ type, values, validity, texts }: NamedColumn) =>
    Array.from({ length: rowCount }, (_, row) => {
      if (!isValid(validity, row)) return null;
      const value = values[row] ?? 0;
      return type === 'string' ? (texts[value] ?? '') : value;
    });
  return {
    timesUs: [...timeUs],
    columns: [
      ...tags.map((tag) => ({ name: tag.name, values: valuesOf(tag) })),
      ...fields.map((field) => ({
        name: fieldOfColumn(field),
        type: field.type,
        values: valuesOf(field),
      })),
    ],
  };
}

function unpack({ timesUs, columns }: PackedRows): BatchColumns {
  const batch = new TableBatch({ tags: [], declaredTypes: new Map() });
  for (const [row, timeUs] of timesUs.entries()) {
    batch.beginRow(timeUs);
    for (const { name, type, values } of columns) {
      const value = values[row] ?? null;
      if (value === null) continue;
      if (type === undefined) batch.setTag(name, String(value));
      else batch.setField(name, name, type, type === 'boolean' ? value === 1 : value);
    }
  }
  return batch.finish();
}
