/**
 * Growing columns of one batch: typed arrays with validity bitmaps, texts as codes into a dictionary. No object per reading.
 */
import type { FieldType } from '@varve/common/contract/columns.js';

const firstCapacity = 256;

/** Texts → small integers, in the order of first sight. */
export class TextDictionary {
  readonly values: string[] = [];
  readonly #codes = new Map<string, number>();
  #chars = 0;

  /** Of all texts together. */
  get chars(): number {
    return this.#chars;
  }

  codeOf(text: string): number {
    const known = this.#codes.get(text);
    if (known !== undefined) return known;
    const code = this.values.push(text) - 1;
    this.#codes.set(text, code);
    this.#chars += text.length;
    return code;
  }
}

/** A bigint is a long beyond ±2^53. */
export type ColumnValue = number | bigint | boolean | string;

/**
 * A column being filled row by row; rows that were not set are null. Longs stand as doubles, which are as good up to ±2^53
 * and cheaper; from the first one beyond, all of them stand as 64-bit integers too.
 */
export class ColumnBuffer {
  readonly type: FieldType;
  readonly dictionary: TextDictionary | undefined;
  #values: Float64Array<ArrayBuffer>;
  #validity: Uint8Array<ArrayBuffer>;
  #longs: BigInt64Array<ArrayBuffer> | undefined;

  constructor(type: FieldType) {
    this.type = type;
    this.dictionary = type === 'string' ? new TextDictionary() : undefined;
    this.#values = new Float64Array(firstCapacity);
    this.#validity = new Uint8Array(firstCapacity / 8);
  }

  set(row: number, value: ColumnValue): void {
    if (row >= this.#values.length) this.#grow(row + 1);
    if (typeof value === 'bigint') this.#longs ??= toLongs(this.#values);
    if (this.#longs) this.#longs[row] = BigInt(value);
    this.#values[row] = typeof value === 'string' ? (this.dictionary?.codeOf(value) ?? 0) : Number(value);
    this.#validity[row >> 3] = (this.#validity[row >> 3] ?? 0) | (1 << (row & 7));
  }

  /** The first `rowCount` rows, in buffers that may be transferred to another thread. */
  finish(rowCount: number): FinishedColumn {
    if (rowCount > this.#values.length) this.#grow(rowCount);
    return {
      type: this.type,
      values: this.#values.slice(0, rowCount),
      validity: this.#validity.slice(0, Math.ceil(rowCount / 8)),
      texts: this.dictionary?.values ?? [],
      longs: this.#longs?.slice(0, rowCount),
    };
  }

  #grow(rowsMin: number): void {
    const capacity = Math.max(this.#values.length * 2, Math.ceil(rowsMin / 8) * 8);
    const values = new Float64Array(capacity);
    values.set(this.#values);
    this.#values = values;
    if (this.#longs) {
      const longs = new BigInt64Array(capacity);
      longs.set(this.#longs);
      this.#longs = longs;
    }
    const validity = new Uint8Array(capacity / 8);
    validity.set(this.#validity);
    this.#validity = validity;
  }
}

/** Nulls stand as 0. */
function toLongs(values: Float64Array): BigInt64Array<ArrayBuffer> {
  return BigInt64Array.from(values, (value) => BigInt(value));
}

export interface FinishedColumn {
  readonly type: FieldType;
  /** Doubles; longs and booleans as doubles (longs beyond ±2^53 rounded); texts as codes into `texts`. */
  readonly values: Float64Array<ArrayBuffer>;
  /** Arrow's layout: bit `row` is 1 where the row has a value, least significant bit first. */
  readonly validity: Uint8Array<ArrayBuffer>;
  readonly texts: readonly string[];
  /** Of a long column with values beyond ±2^53: all of its values, exact. */
  readonly longs?: BigInt64Array<ArrayBuffer> | undefined;
}
