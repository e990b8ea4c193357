/**
 * Columns of an Arrow record batch, filled from one batch of rows after the other.
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
 * Numbers, times and dates have the same form in both, so that they are copied as they lie in memory: an object and a BigInt for every
 * timestamp took ten times as long.
 */
import {
  DuckDBBlobValue,
  DuckDBDecimalType,
  DuckDBTypeId,
  type DuckDBType,
  type DuckDBValue,
} from '@duckdb/node-api';
import type * as Arrow from 'apache-arrow';
import { cellStates, itemsIn, type CellVector } from './vector-memory.js';

type Library = typeof Arrow;

export interface ArrowColumn {
  readonly type: Arrow.DataType;
  /** @returns about how many bytes came to it */
  append(vector: CellVector, rowCount: number): number;
  /** All that was appended since the last time. Valid until the next `append`. */
  take(): Arrow.Data;
}

/** @param toJson as JSON has a value */
export function arrowColumn(
  arrow: Library,
  duckDbType: DuckDBType,
  toJson: (value: DuckDBValue) => string,
): ArrowColumn {
  const fixed = fixedColumn(arrow, duckDbType.typeId);
  if (fixed) return new FixedColumn(arrow, fixed);
  return new ValueColumn(arrow, valueColumn(arrow, duckDbType, toJson));
}

type Numbers =
  Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array;
type Items = Numbers | BigInt64Array | BigUint64Array;

interface ItemsConstructor {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): Items;
}

interface Fixed {
  readonly type: Arrow.DataType;
  /** Of DuckDB's memory, and of Arrow's. */
  readonly kind: ItemsConstructor;
  /** Where the memory cannot be seen. */
  readonly read: (value: DuckDBValue) => number | bigint;
}

function fixedColumn(arrow: Library, typeId: DuckDBTypeId): Fixed | undefined {
  const id = DuckDBTypeId;
  const plain = (type: Arrow.DataType, kind: ItemsConstructor): Fixed => ({
    type,
    kind,
    read: (value) => value as number | bigint,
  });
  const timestamps = (unit: Arrow.TimeUnit, part: string, zone: string | null = null): Fixed => ({
    type: new arrow.Timestamp(unit, zone),
    kind: BigInt64Array,
    read: (value) => (value as unknown as Record<string, bigint>)[part] ?? 0n,
  });
  // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check -- all others go by their values
  switch (typeId) {
    case id.TINYINT:
      return plain(new arrow.Int8(), Int8Array);
    case id.SMALLINT:
      return plain(new arrow.Int16(), Int16Array);
    case id.INTEGER:
      return plain(new arrow.Int32(), Int32Array);
    case id.UTINYINT:
      return plain(new arrow.Uint8(), Uint8Array);
    case id.USMALLINT:
      return plain(new arrow.Uint16(), Uint16Array);
    case id.UINTEGER:
      return plain(new arrow.Uint32(), Uint32Array);
    case id.FLOAT:
      return plain(new arrow.Float32(), Float32Array);
    case id.DOUBLE:
      return plain(new arrow.Float64(), Float64Array);
    case id.BIGINT:
      return plain(new arrow.Int64(), BigInt64Array);
    case id.UBIGINT:
      return plain(new arrow.Uint64(), BigUint64Array);
    case id.DATE:
      return {
        type: new arrow.DateDay(),
        kind: Int32Array,
        read: (value) => (value as { days: number }).days,
      };
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
    default:
      return undefined;
  }
}

class FixedColumn implements ArrowColumn {
  readonly type: Arrow.DataType;
  readonly #arrow: Library;
  readonly #fixed: Fixed;
  readonly #nulls = new NullBitmap();
  #items: Items;
  #length = 0;

  constructor(arrow: Library, fixed: Fixed) {
    this.type = fixed.type;
    this.#arrow = arrow;
    this.#fixed = fixed;
    this.#items = new fixed.kind(0);
  }

  append(vector: CellVector, rowCount: number): number {
    const { kind } = this.#fixed;
    const start = this.#length;
    this.#length += rowCount;
    if (this.#length > this.#items.length) this.#grow();
    const found = vector.numbers ? undefined : itemsIn(vector, rowCount);
    if (found?.items instanceof kind) {
      this.#items.set((found.items as Float64Array).subarray(0, rowCount) as never, start);
      const { states } = found;
      if (states)
        for (let row = 0; row < rowCount; row++)
          if (states[row] === cellStates.null) this.#nulls.add(start + row);
    } else this.#appendValues(vector, start, rowCount);
    return rowCount * kind.BYTES_PER_ELEMENT;
  }

  take(): Arrow.Data {
    const length = this.#length;
    this.#length = 0;
    return this.#arrow.makeData({
      type: this.type,
      data: this.#items.subarray(0, length),
      length,
      ...this.#nulls.take(length),
    } as never);
  }

  #appendValues(vector: CellVector, start: number, rowCount: number): void {
    for (let row = 0; row < rowCount; row++) {
      const value = vector.getItem(row);
      if (value === null) this.#nulls.add(start + row);
      else this.#items[start + row] = this.#fixed.read(value);
    }
  }

  #grow(): void {
    const larger = new this.#fixed.kind(Math.max(this.#length, 2 * this.#items.length));
    larger.set(this.#items as never);
    this.#items = larger;
  }
}

type Build = (values: readonly DuckDBValue[]) => object;

interface Valued {
  readonly type: Arrow.DataType;
  /** About how many bytes it takes. */
  readonly sizeOf: (value: DuckDBValue) => number;
  /** What `makeData` is given beside the nulls. */
  readonly build: Build;
}

class ValueColumn implements ArrowColumn {
  readonly type: Arrow.DataType;
  readonly #arrow: Library;
  readonly #valued: Valued;
  readonly #nulls = new NullBitmap();
  #values: DuckDBValue[] = [];

  constructor(arrow: Library, valued: Valued) {
    this.type = valued.type;
    this.#arrow = arrow;
    this.#valued = valued;
  }

  append(vector: CellVector, rowCount: number): number {
    // Nulls take memory too.
    let bytes = rowCount;
    for (let row = 0; row < rowCount; row++) {
      const value = vector.getItem(row);
      if (value === null) this.#nulls.add(this.#values.length);
      else bytes += this.#valued.sizeOf(value);
      this.#values.push(value);
    }
    return bytes;
  }

  take(): Arrow.Data {
    const values = this.#values;
    this.#values = [];
    return this.#arrow.makeData({
      type: this.type,
      length: values.length,
      ...this.#nulls.take(values.length),
      ...this.#valued.build(values),
    } as never);
  }
}

function valueColumn(arrow: Library, type: DuckDBType, toJson: (value: DuckDBValue) => string): Valued {
  const id = DuckDBTypeId;
  if (type instanceof DuckDBDecimalType)
    return decimals(arrow, type.scale, type.width, (value) => (value as unknown as { value: bigint }).value);
  // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check -- all others are text
  switch (type.typeId) {
    case id.BOOLEAN:
      return { type: new arrow.Bool(), sizeOf: () => 1, build: buildBooleans };
    case id.HUGEINT:
      return decimals(arrow, 0, 38, (value) => value as bigint);
    case id.BLOB:
      return bytes(new arrow.Binary(), (value) =>
        value instanceof DuckDBBlobValue ? value.bytes : new Uint8Array(),
      );
    case id.VARCHAR:
    case id.ENUM:
      return bytes(new arrow.Utf8(), (value) => Buffer.from(String(value)));
    default:
      return bytes(new arrow.Utf8(), (value) => Buffer.from(plainText(toJson(value))));
  }
}

function plainText(json: string): string {
  return json.startsWith('"') ? String(JSON.parse(json)) : json;
}

const buildBooleans: Build = (values) => {
  const data = new Uint8Array(Math.ceil(values.length / 8));
  for (const [row, value] of values.entries()) if (value === true) setBit(data, row);
  return { data };
};

function decimals(
  arrow: Library,
  scale: number,
  precision: number,
  read: (value: DuckDBValue) => bigint,
): Valued {
  const build: Build = (values) => {
    const parts = new BigInt64Array(values.length * 2);
    for (const [row, value] of values.entries()) {
      if (value === null) continue;
      parts[row * 2] = BigInt.asIntN(64, read(value));
      parts[row * 2 + 1] = read(value) >> 64n;
    }
    return { data: new Uint32Array(parts.buffer) };
  };
  return { type: new arrow.Decimal(scale, precision, 128), sizeOf: () => 16, build };
}

function bytes(type: Arrow.Utf8 | Arrow.Binary, read: (value: DuckDBValue) => Uint8Array): Valued {
  const build: Build = (values) => {
    const valueOffsets = new Int32Array(values.length + 1);
    const parts = values.map((value, row) => {
      const part = value === null ? new Uint8Array() : read(value);
      valueOffsets[row + 1] = (valueOffsets[row] ?? 0) + part.length;
      return part;
    });
    return { data: Buffer.concat(parts), valueOffsets };
  };
  return { type, sizeOf: (value) => (typeof value === 'string' ? value.length : structureBytes), build };
}

/** Of lists, structures and the like, until they are written as JSON. */
const structureBytes = 256;

/** Arrow's validity bitmap: a bit that is set is a value (Arrow columnar format, "Validity bitmaps"). */
class NullBitmap {
  #rows: number[] = [];

  add(row: number): void {
    this.#rows.push(row);
  }

  take(length: number): { nullCount: number; nullBitmap?: Uint8Array } {
    const rows = this.#rows;
    this.#rows = [];
    if (rows.length === 0) return { nullCount: 0 };
    const nullBitmap = new Uint8Array(Math.ceil(length / 8)).fill(255);
    for (const row of rows) nullBitmap[row >> 3] = (nullBitmap[row >> 3] ?? 0) & ~(1 << (row & 7));
    return { nullCount: rows.length, nullBitmap };
  }
}

function setBit(bitmap: Uint8Array, bit: number): void {
  bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
}
