/**
 * Writes the cells of a column as `json-values.ts` has them, read from the vector's memory where that is simple: an object
 * and a BigInt for every timestamp took longer than many a query.
 *
 * What is read so: top-level columns of integers up to 64 bits, doubles, timestamps, dates. Whatever
 * is not exact as a number – longs past 2^53, infinite times – goes the way of all others, value by value (`json-values.ts` is
 * the truth, and a test compares the two).
 */
import { DuckDBTypeId, type DuckDBType, type DuckDBValue } from '@duckdb/node-api';
import { jsonEncoder } from './json-values.js';
import { TextStamp, type TextPage } from './text-page.js';
import { dateText } from './time-text.js';
import { TimestampWriter } from './timestamp-writer.js';
import type { ValueStyle } from './value-style.js';
import { cellStates, numbersIn, sameTexts, type CellVector } from './vector-memory.js';

/** What a text format has otherwise than JSON. */
export interface CellLook {
  readonly nullText: string;
  /** Around times and dates. */
  readonly quote: '"' | '';
  /** Of a value's JSON. */
  readonly textOf: (json: string) => string;
}

const jsonLook: CellLook = { nullText: 'null', quote: '"', textOf: (json) => json };

/** How the numbers of a column are written. Numbers, since the choice is made for every cell. */
const kinds = { none: 0, double: 1, whole: 2, time: 3, date: 4 } as const;
type Kind = (typeof kinds)[keyof typeof kinds];

/**
 * Writes a column's cells, batch after batch. One class for all types, without a closure: who writes rows calls the same
 * function for every cell, which takes half the time.
 */
export class CellWriter {
  readonly #look: CellLook;
  readonly #encode: (value: DuckDBValue) => string;
  readonly #kind: Kind;
  readonly #times: TimestampWriter | undefined;
  readonly #isText: boolean;
  #vector: CellVector | undefined;
  #values: Float64Array | undefined;
  #states: Uint8Array | undefined;
  #isSame: (row: number, other: number) => boolean = () => false;
  /** Of texts: the row that was written last, and its text. */
  #lastRow = -1;
  #lastText: TextStamp | undefined;

  constructor(type: DuckDBType, style: ValueStyle, look = jsonLook) {
    const toJson = jsonEncoder(type, style);
    this.#look = look;
    this.#encode = (value) => look.textOf(toJson(value));
    this.#kind = kindOf(type.typeId, style);
    this.#times =
      this.#kind === kinds.time
        ? new TimestampWriter(timestampPerSecond[type.typeId] ?? 1, look.quote)
        : undefined;
    this.#isText = type.typeId === DuckDBTypeId.VARCHAR;
  }

  /** The cells of these rows come next. */
  open(vector: CellVector, rowCount: number): void {
    this.#vector = vector;
    const numbers = this.#kind === kinds.none ? undefined : numbersIn(vector, rowCount);
    this.#values = numbers?.values;
    this.#states = numbers?.states;
    if (this.#isText) this.#isSame = sameTexts(vector);
    this.#lastRow = -1;
  }

  put(row: number, page: TextPage): void {
    if (this.#isText) this.#putText(row, page);
    else if (this.#values === undefined) this.#putValue(row, page);
    else {
      const state = this.#states === undefined ? cellStates.number : this.#states[row];
      if (state === cellStates.null) page.put(this.#look.nullText);
      else if (state === cellStates.other || !this.#putNumber(this.#values[row] ?? Number.NaN, page))
        this.#putValue(row, page);
    }
  }

  #putValue(row: number, page: TextPage): void {
    page.put(this.#encode(this.#vector?.getItem(row) ?? null));
  }

  /** False, and nothing is written, where the number is not all there is to the value. */
  #putNumber(value: number, page: TextPage): boolean {
    switch (this.#kind) {
      case kinds.double:
        if (Number.isFinite(value)) page.putNumber(value);
        else page.put(this.#look.nullText);
        return true;
      case kinds.whole:
        page.putNumber(value);
        return true;
      case kinds.time:
        return this.#times?.put(value, page) === true;
      case kinds.date: {
        const text = dateText(value);
        if (text !== undefined) page.put(this.#look.quote + text + this.#look.quote);
        return text !== undefined;
      }
      case kinds.none:
        return false;
    }
  }

  /** Texts, above all tags, are those of the row before, time and again: they are made once then. */
  #putText(row: number, page: TextPage): void {
    if (this.#lastRow >= 0 && this.#lastText && this.#isSame(row, this.#lastRow)) {
      page.putStamp(this.#lastText);
      return;
    }
    const value = this.#vector?.getItem(row) ?? null;
    if (value === null) {
      page.put(this.#look.nullText);
      return;
    }
    this.#lastRow = row;
    this.#lastText = new TextStamp(this.#encode(value));
    page.putStamp(this.#lastText);
  }
}

const timestampPerSecond: Readonly<Partial<Record<DuckDBTypeId, number>>> = {
  [DuckDBTypeId.TIMESTAMP_S]: 1,
  [DuckDBTypeId.TIMESTAMP_MS]: 1_000,
  [DuckDBTypeId.TIMESTAMP]: 1_000_000,
  [DuckDBTypeId.TIMESTAMP_TZ]: 1_000_000,
};

/** `none` where numbers do not do for a type, or where it is written another way. */
function kindOf(typeId: DuckDBTypeId, { int64, timeFormat, timeZone }: ValueStyle): Kind {
  if (timestampPerSecond[typeId] !== undefined)
    return timeFormat !== 'rfc3339' || (typeId === DuckDBTypeId.TIMESTAMP_TZ && timeZone !== 'UTC')
      ? kinds.none
      : kinds.time;
  // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check -- all others are none
  switch (typeId) {
    case DuckDBTypeId.DOUBLE:
      return kinds.double;
    case DuckDBTypeId.TINYINT:
    case DuckDBTypeId.SMALLINT:
    case DuckDBTypeId.INTEGER:
    case DuckDBTypeId.UTINYINT:
    case DuckDBTypeId.USMALLINT:
    case DuckDBTypeId.UINTEGER:
      return kinds.whole;
    case DuckDBTypeId.BIGINT:
      return int64 === 'string' ? kinds.none : kinds.whole;
    case DuckDBTypeId.DATE:
      return kinds.date;
    default:
      return kinds.none;
  }
}
