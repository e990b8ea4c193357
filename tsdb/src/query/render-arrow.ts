/**
 * An answer as an Arrow IPC stream: one record batch per batch of rows, so that a reader can begin with the first.
 *
 * | DuckDB                          | Arrow                                                     |
 * |---------------------------------|-----------------------------------------------------------|
 * | integers to 64 bits, bool       | the same                                                  |
 * | integers of 128 bits, decimals  | decimal128                                                |
 * | float, double                   | the same, NaN and infinities too                          |
 * | timestamps                      | Timestamp of their unit; TIMESTAMPTZ: microseconds, UTC   |
 * | date                            | Date32                                                    |
 * | text, enum                      | Utf8                                                      |
 * | blob                            | Binary                                                    |
 * | everything else                 | Utf8: lists and structures as JSON, others as JSON says   |
 *
 * apache-arrow is loaded with the first such answer.
 */
import {
  DuckDBBlobValue,
  DuckDBDecimalType,
  DuckDBTypeId,
  type DuckDBType,
  type DuckDBValue,
} from '@duckdb/node-api';
import type * as Arrow from 'apache-arrow';
import { jsonEncoder } from './json-values.js';
import type { QueryAnswer, RowBatch } from './query-answer.js';
import type { RenderOptions } from './render-text.js';

type Library = typeof Arrow;
type Column = (values: readonly DuckDBValue[]) => Arrow.Data;

/** The end of a stream (Arrow's IPC format, "Encapsulated message format"): a continuation and a length of 0. */
const endBytes = 8;

export async function* renderArrow(
  answer: QueryAnswer,
  { style, bytesMax }: RenderOptions,
): AsyncGenerator<Uint8Array> {
  const arrow = await import('apache-arrow');
  const columns = answer.columns.map(({ name, type }) => {
    const made = columnOf(arrow, type, jsonEncoder(type, style));
    return { field: new arrow.Field(name, made.type, true), build: made.build };
  });
  const schema = new arrow.Schema(columns.map(({ field }) => field));
  const write = (batches: Arrow.RecordBatch[]) => writeStream(arrow, schema, batches);
  const empty = write([]);
  const headBytes = empty.length - endBytes;
  let sentBytes = 0;
  for await (const batch of answer.batches()) {
    const children = columns.map(({ build }, column) => build(valuesOf(batch, column)));
    const data = arrow.makeData({
      type: new arrow.Struct(schema.fields),
      length: batch.rowCount,
      nullCount: 0,
      children,
    });
    const bytes = write([new arrow.RecordBatch(schema, data)]);
    // The head goes with the first rows: nothing must be sent while they may still fail.
    const piece = bytes.subarray(sentBytes === 0 ? 0 : headBytes, bytes.length - endBytes);
    yield piece;
    sentBytes += piece.length;
    if (sentBytes < bytesMax) continue;
    answer.cutOff();
    break;
  }
  yield sentBytes === 0 ? empty : empty.subarray(headBytes);
}

/** Schema, batches and end, as one piece. */
function writeStream(arrow: Library, schema: Arrow.Schema, batches: Arrow.RecordBatch[]): Uint8Array {
  const writer = new arrow.RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  for (const batch of batches) writer.write(batch);
  return writer.finish().toUint8Array(true);
}

function valuesOf({ chunk, rowCount }: RowBatch, column: number): DuckDBValue[] {
  const vector = chunk.getColumnVector(column);
  return Array.from({ length: rowCount }, (_, row) => vector.getItem(row));
}

interface MadeColumn {
  readonly type: Arrow.DataType;
  readonly build: Column;
}

type Numbers =
  Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array;
type Longs = BigInt64Array | BigUint64Array;

function columnOf(arrow: Library, type: DuckDBType, toJson: (value: DuckDBValue) => string): MadeColumn {
  const id = DuckDBTypeId;
  const numbers = (
    made: Arrow.DataType,
    create: (length: number) => Numbers,
    read: (value: DuckDBValue) => number = Number,
  ) => fixed(arrow, made, create, (data, row, value) => (data[row] = read(value)));
  const longs = (
    made: Arrow.DataType,
    create: (length: number) => Longs,
    read: (value: DuckDBValue) => bigint,
  ) => fixed(arrow, made, create, (data, row, value) => (data[row] = read(value)));
  const timestamps = (unit: Arrow.TimeUnit, part: string, zone: string | null = null) =>
    longs(
      new arrow.Timestamp(unit, zone),
      (n) => new BigInt64Array(n),
      (value) => (value as unknown as Record<string, bigint>)[part] ?? 0n,
    );
  if (type instanceof DuckDBDecimalType)
    return decimals(arrow, type.scale, type.width, (value) => (value as unknown as { value: bigint }).value);
  // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check -- all others are text
  switch (type.typeId) {
    case id.BOOLEAN:
      return booleans(arrow);
    case id.TINYINT:
      return numbers(new arrow.Int8(), (n) => new Int8Array(n));
    case id.SMALLINT:
      return numbers(new arrow.Int16(), (n) => new Int16Array(n));
    case id.INTEGER:
      return numbers(new arrow.Int32(), (n) => new Int32Array(n));
    case id.UTINYINT:
      return numbers(new arrow.Uint8(), (n) => new Uint8Array(n));
    case id.USMALLINT:
      return numbers(new arrow.Uint16(), (n) => new Uint16Array(n));
    case id.UINTEGER:
      return numbers(new arrow.Uint32(), (n) => new Uint32Array(n));
    case id.FLOAT:
      return numbers(new arrow.Float32(), (n) => new Float32Array(n));
    case id.DOUBLE:
      return numbers(new arrow.Float64(), (n) => new Float64Array(n));
    case id.BIGINT:
      return longs(
        new arrow.Int64(),
        (n) => new BigInt64Array(n),
        (value) => value as bigint,
      );
    case id.UBIGINT:
      return longs(
        new arrow.Uint64(),
        (n) => new BigUint64Array(n),
        (value) => value as bigint,
      );
    case id.HUGEINT:
      return decimals(arrow, 0, 38, (value) => value as bigint);
    case id.DATE:
      return numbers(
        new arrow.DateDay(),
        (n) => new Int32Array(n),
        (value) => (value as { days: number }).days,
      );
    case id.TIMESTAMP_S:
      return timestamps(arrow.TimeUnit.SECOND, 'seconds');
    case id.TIMESTAMP_MS:
      return timestamps(arrow.TimeUnit.MILLISECOND, 'millis');
    case id.TIMESTAMP:
      return timestamps(arrow.TimeUnit.MICROSECOND, 'micros');
    case id.TIMESTAMP_TZ:
      return timestamps(arrow.TimeUnit.MICROSECOND, 'micros', 'UTC');
    case id.TIMESTAMP_NS:
      return timestamps(arrow.TimeUnit.NANOSECOND, 'nanos');
    case id.BLOB:
      return bytes(arrow, new arrow.Binary(), (value) =>
        value instanceof DuckDBBlobValue ? value.bytes : new Uint8Array(),
      );
    case id.VARCHAR:
    case id.ENUM:
      return bytes(arrow, new arrow.Utf8(), (value) => Buffer.from(String(value)));
    default:
      return bytes(arrow, new arrow.Utf8(), (value) => Buffer.from(plainText(toJson(value))));
  }
}

function plainText(json: string): string {
  return json.startsWith('"') ? String(JSON.parse(json)) : json;
}

function fixed<Data extends Numbers | Longs>(
  arrow: Library,
  type: Arrow.DataType,
  create: (length: number) => Data,
  set: (data: Data, row: number, value: DuckDBValue) => void,
): MadeColumn {
  return {
    type,
    build: (values) => {
      const data = create(values.length);
      for (const [row, value] of values.entries()) if (value !== null) set(data, row, value);
      return makeData(arrow, { type, data, values });
    },
  };
}

function booleans(arrow: Library): MadeColumn {
  const type = new arrow.Bool();
  return {
    type,
    build: (values) => {
      const data = new Uint8Array(Math.ceil(values.length / 8));
      for (const [row, value] of values.entries()) if (value === true) setBit(data, row);
      return makeData(arrow, { type, data, values });
    },
  };
}

function decimals(
  arrow: Library,
  scale: number,
  precision: number,
  read: (value: DuckDBValue) => bigint,
): MadeColumn {
  const type = new arrow.Decimal(scale, precision, 128);
  return {
    type,
    build: (values) => {
      const parts = new BigInt64Array(values.length * 2);
      for (const [row, value] of values.entries()) {
        if (value === null) continue;
        parts[row * 2] = BigInt.asIntN(64, read(value));
        parts[row * 2 + 1] = read(value) >> 64n;
      }
      return makeData(arrow, { type, data: new Uint32Array(parts.buffer), values });
    },
  };
}

function bytes(
  arrow: Library,
  type: Arrow.Utf8 | Arrow.Binary,
  read: (value: DuckDBValue) => Uint8Array,
): MadeColumn {
  return {
    type,
    build: (values) => {
      const valueOffsets = new Int32Array(values.length + 1);
      const parts = values.map((value, row) => {
        const part = value === null ? new Uint8Array() : read(value);
        valueOffsets[row + 1] = (valueOffsets[row] ?? 0) + part.length;
        return part;
      });
      return makeData(arrow, { type, data: Buffer.concat(parts), values, valueOffsets });
    },
  };
}

interface DataParts {
  readonly type: Arrow.DataType;
  readonly data: ArrayBufferView;
  readonly values: readonly DuckDBValue[];
  readonly valueOffsets?: Int32Array;
}

function makeData(arrow: Library, { values, ...parts }: DataParts): Arrow.Data {
  const nullBitmap = new Uint8Array(Math.ceil(values.length / 8));
  let nullCount = values.length;
  for (const [row, value] of values.entries()) {
    if (value === null) continue;
    setBit(nullBitmap, row);
    nullCount -= 1;
  }
  return arrow.makeData({ ...parts, length: values.length, nullCount, nullBitmap } as never);
}

function setBit(bitmap: Uint8Array, bit: number): void {
  bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
}
