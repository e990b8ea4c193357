/**
 * Sorted Arrow record batches from the columns of a batch.
 */
import {
  Bool,
  Dictionary,
  Field,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimeUnit,
  Timestamp,
  Utf8,
  vectorFromArray,
  type Data,
} from 'apache-arrow';
import { timeColumnName } from '@varve/common/contract/columns.js';
import type { BatchColumns, NamedColumn } from '../batch/table-batch.js';
import { isValid, planRowOrder } from './sort-rows.js';

/** `time` (timestamp[us, UTC]), tags and fields by name, rows in shipment order. */
export function toArrowTable(columns: BatchColumns): Table {
  const order = planRowOrder(columns);
  const time = {
    field: new Field(timeColumnName, new Timestamp(TimeUnit.MICROSECOND, 'UTC'), false),
    data: timeData(columns.timeUs, order),
  };
  const all = [time, ...[...columns.tags, ...columns.fields].map((column) => toArrowColumn(column, order))];
  const schema = new Schema(all.map(({ field }) => field));
  const children = all.map(({ data }) => data);
  const length = order.length;
  return new Table([
    new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children })),
  ]);
}

function timeData(timeUs: Float64Array, order: Uint32Array): Data {
  const data = BigInt64Array.from(order, (row) => BigInt(timeUs[row] ?? 0));
  return makeData({
    type: new Timestamp(TimeUnit.MICROSECOND, 'UTC'),
    length: order.length,
    nullCount: 0,
    data,
  });
}

function toArrowColumn(column: NamedColumn, order: Uint32Array): { field: Field; data: Data } {
  const nulls = sortValidity(column.validity, order);
  const data = columnData(column, order, nulls);
  return { field: new Field(column.name, data.type, true), data };
}

function columnData(column: NamedColumn, order: Uint32Array, nulls: SortedValidity): Data {
  const { values, texts, longs } = column;
  const shared = { length: order.length, ...nulls };
  switch (column.type) {
    case 'double':
      return makeData({
        type: new Float64(),
        ...shared,
        data: Float64Array.from(order, (row) => values[row] ?? 0),
      });
    case 'long':
      return makeData({
        type: new Int64(),
        ...shared,
        data: BigInt64Array.from(order, (row) => longs?.[row] ?? BigInt(values[row] ?? 0)),
      });
    case 'boolean':
      return makeData({ type: new Bool(), ...shared, data: packBits(order, (row) => values[row] === 1) });
    case 'string':
      return makeData({
        type: new Dictionary(new Utf8(), new Int32()),
        ...shared,
        data: Int32Array.from(order, (row) => values[row] ?? 0),
        dictionary: vectorFromArray(texts, new Utf8()),
      });
  }
}

interface SortedValidity {
  readonly nullBitmap: Uint8Array;
  readonly nullCount: number;
}

function sortValidity(validity: Uint8Array, order: Uint32Array): SortedValidity {
  let nullCount = 0;
  for (const row of order) if (!isValid(validity, row)) nullCount++;
  return { nullCount, nullBitmap: packBits(order, (row) => isValid(validity, row)) };
}

function packBits(order: Uint32Array, bitOf: (row: number) => boolean): Uint8Array {
  const bits = new Uint8Array(Math.ceil(order.length / 8));
  for (const [place, row] of order.entries())
    if (bitOf(row)) bits[place >> 3] = (bits[place >> 3] ?? 0) | (1 << (place & 7));
  return bits;
}
