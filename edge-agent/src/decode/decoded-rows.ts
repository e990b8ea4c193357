/**
 * What a decoder found in one payload: rows of entries, each a name, a value, and how sure the format is of its type.
 *
 * One such object serves all messages, one after the other, and its arrays are written over: nothing is allocated for a
 * reading but what the format itself makes. Entries of all rows stand in one sequence; a row is a range of it. Rows may
 * share a second range: what stands around an array of readings.
 *
 * Bounds: `valuesMax` entries, shared ones counted for every row, and `rowsMax` rows. What is beyond is not kept, and
 * `isOverfull` says so.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import type { TimeUnit } from './time.js';

/** A bigint is a whole number beyond ±2^53. */
export type Scalar = number | bigint | boolean | string;

/**
 * A field type where the format says so (`42i` of line protocol, a JSON text); `number` where it may be whole or not (JSON);
 * `text` where it may be anything (a cell of CSV); `tag` where the format says that it is one.
 */
export type ValueKind = FieldType | 'number' | 'text' | 'tag';

export const rowsMax = 100_000;
export const valuesMax = 1_000_000;
/** Arrays that a large message made longer than this are let go. */
const keptMax = 10_000;

export class DecodedRows {
  /** As the sensor writes them; members of members as paths, `outer.inner`. */
  names: string[] = [];
  values: Scalar[] = [];
  kinds: ValueKind[] = [];
  /** Row r has the entries from `starts[r]` to before `ends[r]` … */
  starts: number[] = [];
  ends: number[] = [];
  /** … and, where it has none of that name, those from `sharedStarts[r]` to before `sharedEnds[r]`. */
  sharedStarts: number[] = [];
  sharedEnds: number[] = [];
  /** The time, where the format has a place for it: digits, so that nanoseconds stay exact. In `timeUnit`. */
  times: (string | undefined)[] = [];
  timeUnit: TimeUnit = 'ns';
  /** What the format says the row is a measurement of. */
  measurements: (string | undefined)[] = [];
  #rowCount = 0;
  #entryCount = 0;
  #sharedStart = 0;
  #sharedEnd = 0;
  #valueCount = 0;
  #isOverfull = false;

  get rowCount(): number {
    return this.#rowCount;
  }

  get isOverfull(): boolean {
    return this.#isOverfull;
  }

  clear(): void {
    if (this.names.length > keptMax) this.#letGo();
    this.#rowCount = 0;
    this.#entryCount = 0;
    this.#sharedStart = 0;
    this.#sharedEnd = 0;
    this.#valueCount = 0;
    this.#isOverfull = false;
  }

  /** The entries added until `endShared` belong to every row that is ended from then on. */
  beginShared(): void {
    this.#sharedStart = this.#entryCount;
    this.#sharedEnd = this.#entryCount;
  }

  endShared(): void {
    this.#sharedEnd = this.#entryCount;
  }

  /** The entries added until `endRow` belong to one row. */
  beginRow(): void {
    if (this.#rowCount >= rowsMax) this.#isOverfull = true;
    if (this.#isOverfull) return;
    this.starts[this.#rowCount] = this.#entryCount;
  }

  add(name: string, kind: ValueKind, value: Scalar): void {
    if (this.#valueCount >= valuesMax) this.#isOverfull = true;
    if (this.#isOverfull) return;
    const at = this.#entryCount++;
    this.names[at] = name;
    this.values[at] = value;
    this.kinds[at] = kind;
    this.#valueCount++;
  }

  endRow(time?: string, measurement?: string): void {
    if (this.#isOverfull) return;
    const row = this.#rowCount++;
    this.ends[row] = this.#entryCount;
    this.sharedStarts[row] = this.#sharedStart;
    this.sharedEnds[row] = this.#sharedEnd;
    this.times[row] = time;
    this.measurements[row] = measurement;
    this.#valueCount += this.#sharedEnd - this.#sharedStart;
    if (this.#valueCount > valuesMax) this.#isOverfull = true;
  }

  #letGo(): void {
    this.names = [];
    this.values = [];
    this.kinds = [];
    this.starts = [];
    this.ends = [];
    this.sharedStarts = [];
    this.sharedEnds = [];
    this.times = [];
    this.measurements = [];
  }
}
