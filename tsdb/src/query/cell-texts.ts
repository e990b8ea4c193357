/**
 * The cells of a column as JSON text, as `json-values.ts` has them, read from the vector's memory where that is simple: an
 * object and a BigInt for every timestamp took longer than many a query.
 *
 * What is read so: top-level columns of integers up to 64 bits, doubles, timestamps, dates. Whatever
 * is not exact as a number – longs past 2^53, infinite times – goes the way of all others, value by value. The bindings keep
 * the arrays private; should they ever look otherwise, that way is taken for all (`json-values.ts` is the truth, and
 * a test compares the two).
 */
import { DuckDBTypeId, type DuckDBType, type DuckDBValue, type DuckDBVector } from '@duckdb/node-api';
import { jsonEncoder } from './json-values.js';
import { dateText, unitsText } from './time-text.js';
import type { ValueStyle } from './value-style.js';

export type CellText = (row: number) => string;

/** A column's, for one vector after the other. */
export type CellTexts = (vector: DuckDBVector) => CellText;

export function jsonCells(type: DuckDBType, style: ValueStyle): CellTexts {
  const encode = jsonEncoder(type, style);
  const textOf = numberTexts(type.typeId, style);
  if (type.typeId === DuckDBTypeId.VARCHAR) return textCells('null', encode);
  return (vector) => {
    const slow: CellText = (row) => encode(vector.getItem(row));
    const memory = textOf && memoryOf(vector);
    if (!memory) return slow;
    const { isNull, numberAt } = memory;
    return (row) => (isNull(row) ? 'null' : (textOf(numberAt(row)) ?? slow(row)));
  };
}

/** Texts, above all tags, are those of the row before, time and again: they are made once then. */
export function textCells(nullText: string, encode: (value: DuckDBValue) => string): CellTexts {
  return (vector) => {
    const isSame = sameTexts(vector);
    let last: { readonly row: number; readonly text: string } | undefined;
    return (row) => {
      if (last && isSame(row, last.row)) return last.text;
      const value = vector.getItem(row);
      if (value === null) return nullText;
      last = { row, text: encode(value) };
      return last.text;
    };
  };
}

/** Of 16 bytes: length, and the text itself or where in this vector's memory it is. False where that cannot be seen. */
function sameTexts(vector: DuckDBVector): (row: number, other: number) => boolean {
  const { dataView, validity } = vector as unknown as { dataView?: unknown; validity?: unknown };
  const isNull = nullsOf(validity);
  if (!isNull || !(dataView instanceof DataView) || dataView.byteOffset % 4 !== 0) return () => false;
  const words = new Uint32Array(dataView.buffer, dataView.byteOffset, dataView.byteLength / 4);
  return (row, other) => {
    if (isNull(row)) return false;
    for (let word = 0; word < 4; word++) if (words[4 * row + word] !== words[4 * other + word]) return false;
    return true;
  };
}

type NumberText = (value: number) => string | undefined;

const finiteText: NumberText = (value) =>
  Number.isFinite(value) ? (hundredthsText(value) ?? String(value)) : 'null';

const hundredthsMax = 1e9;
const hundredthsTexts = Array.from({ length: 100 }, (_, number) =>
  number === 0 ? '' : `.${String(number).padStart(2, '0').replace(/0$/, '')}`,
);

/**
 * What `String` writes, in half the time, of a value in hundredths, as many sensors send; undefined for others. A decimal of so few
 * digits that is read as `value` is the shortest one that is.
 */
export function hundredthsText(value: number): string | undefined {
  const hundredths = Math.round(Math.abs(value) * 100);
  // Not so for NaN either.
  if (!(hundredths < hundredthsMax) || hundredths / 100 !== Math.abs(value)) return undefined;
  const whole = Math.trunc(hundredths / 100);
  return `${value < 0 ? '-' : ''}${whole}${hundredthsTexts[hundredths - whole * 100] ?? ''}`;
}
const wholeText: NumberText = String;
/** A long is safe or not a number at all (`memoryOf`). */
const longText: NumberText = (value) => (Number.isNaN(value) ? undefined : String(value));
const quotedLongText: NumberText = (value) => (Number.isNaN(value) ? undefined : `"${value}"`);

const quoted = (text: string | undefined) => (text === undefined ? undefined : `"${text}"`);

const timestampPerSecond: Readonly<Partial<Record<DuckDBTypeId, number>>> = {
  [DuckDBTypeId.TIMESTAMP_S]: 1,
  [DuckDBTypeId.TIMESTAMP_MS]: 1_000,
  [DuckDBTypeId.TIMESTAMP]: 1_000_000,
  [DuckDBTypeId.TIMESTAMP_TZ]: 1_000_000,
};

/** Undefined where a number is not all there is to a value, or where it is written another way. */
function numberTexts(
  typeId: DuckDBTypeId,
  { int64, timeFormat, timeZone }: ValueStyle,
): NumberText | undefined {
  const perSecond = timestampPerSecond[typeId];
  if (perSecond !== undefined) {
    if (timeFormat !== 'rfc3339' || (typeId === DuckDBTypeId.TIMESTAMP_TZ && timeZone !== 'UTC'))
      return undefined;
    return (value) => (Number.isNaN(value) ? undefined : quoted(unitsText(value, perSecond)));
  }
  // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check -- all others are undefined
  switch (typeId) {
    case DuckDBTypeId.DOUBLE:
      return finiteText;
    case DuckDBTypeId.TINYINT:
    case DuckDBTypeId.SMALLINT:
    case DuckDBTypeId.INTEGER:
    case DuckDBTypeId.UTINYINT:
    case DuckDBTypeId.USMALLINT:
    case DuckDBTypeId.UINTEGER:
      return wholeText;
    case DuckDBTypeId.BIGINT:
      return int64 === 'string' ? quotedLongText : longText;
    case DuckDBTypeId.DATE:
      return (value) => quoted(dateText(value));
    default:
      return undefined;
  }
}

interface Memory {
  readonly isNull: (row: number) => boolean;
  /** NaN for a long past 2^53. */
  readonly numberAt: (row: number) => number;
}

type Numbers = Float64Array | Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;
const numberArrays = [Float64Array, Int32Array, Uint32Array, Int16Array, Uint16Array, Int8Array, Uint8Array];

function memoryOf(vector: DuckDBVector): Memory | undefined {
  const { items, validity } = vector as unknown as { items?: unknown; validity?: unknown };
  const isNull = nullsOf(validity);
  if (!isNull) return undefined;
  if (items instanceof BigInt64Array) return { isNull, numberAt: longsOf(items) };
  if (!numberArrays.some((kind) => items instanceof kind)) return undefined;
  const numbers = items as Numbers;
  return { isNull, numberAt: (row) => numbers[row] ?? Number.NaN };
}

/** By halves: a BigInt for each takes longer than all the rest. */
function longsOf(longs: BigInt64Array): (row: number) => number {
  const halves = new Int32Array(longs.buffer, longs.byteOffset, longs.length * 2);
  return (row) => {
    const value = (halves[2 * row + 1] ?? 0) * 2 ** 32 + ((halves[2 * row] ?? 0) >>> 0);
    return Number.isSafeInteger(value) ? value : Number.NaN;
  };
}

function nullsOf(validity: unknown): Memory['isNull'] | undefined {
  const { data, offset } = (validity ?? {}) as { data?: unknown; offset?: unknown };
  if (offset !== 0) return undefined;
  if (data === null) return () => false;
  if (!(data instanceof BigUint64Array)) return undefined;
  const bits = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return (row) => (((bits[row >> 3] ?? 0) >> (row & 7)) & 1) === 0;
}
