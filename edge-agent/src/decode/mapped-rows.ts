/**
 * The rows that a stream makes of one message: table, time, tags and typed fields. What looks at readings – a deadband,
 * windows – stands between the mapper, which fills this, and `append-rows.ts`, which puts it into batches.
 *
 * One object serves all messages, one after the other; its arrays are written over, so nobody keeps them. Row r has the tags
 * from `tagStarts[r]` to before `tagEnds[r]` and the fields from `fieldStarts[r]` to before `fieldEnds[r]`.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import type { Scalar } from './decoded-rows.js';

/** A column of fields, by what one sensor calls it. */
export interface FieldColumn {
  readonly name: string;
  readonly originalName: string;
}

const keptMax = 10_000;

export class MappedRows {
  tables: string[] = [];
  /** Microseconds since 1970 UTC. */
  timesUs: number[] = [];
  tagStarts: number[] = [];
  tagEnds: number[] = [];
  fieldStarts: number[] = [];
  fieldEnds: number[] = [];
  /** A tag that a row does not have is null there. */
  tagNames: string[] = [];
  tagValues: string[] = [];
  columns: FieldColumn[] = [];
  types: FieldType[] = [];
  values: Scalar[] = [];
  #rowCount = 0;
  #tagCount = 0;
  #fieldCount = 0;

  get rowCount(): number {
    return this.#rowCount;
  }

  /** Fields of all rows, the one begun included. */
  get fieldCount(): number {
    return this.#fieldCount;
  }

  clear(): void {
    if (this.values.length > keptMax || this.tagValues.length > keptMax) this.#letGo();
    this.#rowCount = 0;
    this.#tagCount = 0;
    this.#fieldCount = 0;
  }

  beginRow(): void {
    this.tagStarts[this.#rowCount] = this.#tagCount;
    this.fieldStarts[this.#rowCount] = this.#fieldCount;
  }

  addTag(name: string, value: string): void {
    const at = this.#tagCount++;
    this.tagNames[at] = name;
    this.tagValues[at] = value;
  }

  addField(column: FieldColumn, type: FieldType, value: Scalar): void {
    const at = this.#fieldCount++;
    this.columns[at] = column;
    this.types[at] = type;
    this.values[at] = value;
  }

  endRow(table: string, timeUs: number): void {
    const row = this.#rowCount++;
    this.tables[row] = table;
    this.timesUs[row] = timeUs;
    this.tagEnds[row] = this.#tagCount;
    this.fieldEnds[row] = this.#fieldCount;
  }

  /** The row begun is none: what was added to it is forgotten. */
  dropRow(): void {
    this.#tagCount = this.tagStarts[this.#rowCount] ?? 0;
    this.#fieldCount = this.fieldStarts[this.#rowCount] ?? 0;
  }

  #letGo(): void {
    this.tables = [];
    this.timesUs = [];
    this.tagStarts = [];
    this.tagEnds = [];
    this.fieldStarts = [];
    this.fieldEnds = [];
    this.tagNames = [];
    this.tagValues = [];
    this.columns = [];
    this.types = [];
    this.values = [];
  }
}
