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

/** A column being filled row by row; rows that were not set are null. */
export class ColumnBuffer {
  readonly type: FieldType;
  readonly dictionary: TextDictionary | undefined;
  #values: Float64Array<ArrayBuffer>;
  #validity: Uint8Array<ArrayBuffer>;

  constructor(type: FieldType) {
    this.type = type;
    this.dictionary = type === 'string' ? new TextDictionary() : undefined;
    this.#values = new Float64Array(firstCapacity);
    this.#validity = new Uint8Array(firstCapacity / 8);
  }

  set(row: number, value: number | boolean | string): void {
    if (row >= this.#values.length) this.#grow(row + 1);
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
    };
  }

  #grow(rowsMin: number): void {
    const capacity = Math.max(this.#values.length * 2, Math.ceil(rowsMin / 8) * 8);
    const values = new Float64Array(capacity);
    values.set(this.#values);
    this.#values = values;
    const validity = new Uint8Array(capacity / 8);
    validity.set(this.#validity);
    this.#validity = validity;
  }
}

export interface FinishedColumn {
  readonly type: FieldType;
  /** Doubles; longs and booleans as doubles (longs within ±2^53); texts as codes into `texts`. */
  readonly values: Float64Array<ArrayBuffer>;
  /** Arrow's layout: bit `row` is 1 where the row has a value, least significant bit first. */
  readonly validity: Uint8Array<ArrayBuffer>;
  readonly texts: readonly string[];
}
