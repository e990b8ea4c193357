/**
 * What is in a column, read from the vector's memory, where values one by one take too long.
 *
 * The bindings keep the arrays private. Should they ever look otherwise, nothing is seen here, and whoever asks takes the values.
 */
import type { DuckDBValue } from '@duckdb/node-api';

/** DuckDB's vectors, and whatever else has the rows of a column and knows how to be quick. */
export interface CellVector {
  getItem(row: number): DuckDBValue;
  readonly numbers?: ColumnNumbers;
  /** Of texts: whether two rows, the first of which is not null, have the same. */
  readonly isSame?: (row: number, other: number) => boolean;
}

/** Numbers of a column: always of these two kinds of array, so that whoever goes through them is compiled for nothing else. */
export interface ColumnNumbers {
  /** Anything where there is no number. */
  readonly values: Float64Array;
  /** One of `cellStates` by row; undefined where each is a number. */
  readonly states: Uint8Array | undefined;
}

export const cellStates = {
  number: 0,
  null: 1,
  /** A long past 2^53. */
  other: 2,
} as const;

type Numbers = Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;
const numberArrays = [Int32Array, Uint32Array, Int16Array, Uint16Array, Int8Array, Uint8Array];

/** The array of a column of fixed width, as it is in memory, and which of its rows are null; undefined for others. */
export function itemsIn(
  vector: CellVector,
  rowCount: number,
): { readonly items: unknown; readonly states: Uint8Array | undefined } | undefined {
  const { items, validity } = vector as unknown as { items?: unknown; validity?: unknown };
  const states = statesIn(validity, rowCount);
  return states === 'unseen' ? undefined : { items, states };
}

/** Of integers up to 64 bits, doubles, timestamps, dates, the first rows; undefined for others. */
export function numbersIn(vector: CellVector, rowCount: number): ColumnNumbers | undefined {
  if (vector.numbers) return vector.numbers;
  const { items, states } = itemsIn(vector, rowCount) ?? {};
  if (items instanceof Float64Array) return { values: items, states };
  if (items instanceof BigInt64Array) return longsIn(items, states, rowCount);
  return numberArrays.some((kind) => items instanceof kind)
    ? { values: Float64Array.from((items as Numbers).subarray(0, rowCount)), states }
    : undefined;
}

/** NaN stands for null. */
export function numbersOrNaN(values: Float64Array): ColumnNumbers {
  const first = values.findIndex(Number.isNaN);
  if (first < 0) return { values, states: undefined };
  const states = new Uint8Array(values.length);
  for (let row = first; row < values.length; row++)
    if (Number.isNaN(values[row])) states[row] = cellStates.null;
  return { values, states };
}

/** By halves: a BigInt for each takes longer than all the rest. */
function longsIn(longs: BigInt64Array, nulls: Uint8Array | undefined, rowCount: number): ColumnNumbers {
  const halves = new Int32Array(longs.buffer, longs.byteOffset, longs.length * 2);
  const values = new Float64Array(rowCount);
  let states = nulls;
  for (let row = 0; row < rowCount; row++) {
    const value = (halves[2 * row + 1] ?? 0) * 2 ** 32 + ((halves[2 * row] ?? 0) >>> 0);
    values[row] = value;
    if (Number.isSafeInteger(value) || states?.[row] === cellStates.null) continue;
    states ??= new Uint8Array(rowCount);
    states[row] = cellStates.other;
  }
  return { values, states };
}

function statesIn(validity: unknown, rowCount: number): Uint8Array | undefined | 'unseen' {
  const isNull = nullsOf(validity);
  if (isNull === undefined) return 'unseen';
  if (isNull === neverNull) return undefined;
  const states = new Uint8Array(rowCount);
  for (let row = 0; row < rowCount; row++) if (isNull(row)) states[row] = cellStates.null;
  return states;
}

const neverNull = () => false;

function nullsOf(validity: unknown): ((row: number) => boolean) | undefined {
  const { data, offset } = (validity ?? {}) as { data?: unknown; offset?: unknown };
  if (offset !== 0) return undefined;
  if (data === null) return neverNull;
  if (!(data instanceof BigUint64Array)) return undefined;
  const bits = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return (row) => (((bits[row >> 3] ?? 0) >> (row & 7)) & 1) === 0;
}

/**
 * Whether a row's text is that of another row. Of 16 bytes: length, and the text itself or where in this vector's memory it is.
 * False where that cannot be seen.
 */
export function sameTexts(vector: CellVector): (row: number, other: number) => boolean {
  if (vector.isSame) return vector.isSame;
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
