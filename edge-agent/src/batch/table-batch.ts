/**
 * The rows of one table since the last shipment, as columns.
 *
 * A field that holds values of several types becomes several columns: the declared type, or else the first of double,
 * long, boolean, string that occurs, keeps the name; the others stand beside it (`value__string`). So nothing is dropped and
 * the same rows make the same columns in whatever order they came.
 */
import { fieldTypes, sideColumnName, type FieldType } from '@varve/common/contract/columns.js';
import { ColumnBuffer, type FinishedColumn } from './column-buffer.js';

/** More than this in one table is a sensor that writes its data into names. */
export const fieldsPerTableMax = 1_000;

export interface NamedColumn extends FinishedColumn {
  readonly name: string;
}

/** A finished batch; `encode/` sorts and writes it. Rows stand in the order they came. */
export interface BatchColumns {
  readonly rowCount: number;
  /** Microseconds since 1970 UTC. */
  readonly timeUs: Float64Array<ArrayBuffer>;
  /** Sorted by name; of type string. */
  readonly tags: readonly NamedColumn[];
  /** Sorted by name. */
  readonly fields: readonly NamedColumn[];
  /** Column → what the sensor called it, where folding changed that. */
  readonly originalNames: Readonly<Record<string, string>>;
}

export interface TableBatchOptions {
  readonly tags: readonly string[];
  readonly declaredTypes: ReadonlyMap<string, FieldType>;
}

export class TableBatch {
  readonly #options: TableBatchOptions;
  readonly #time = new ColumnBuffer('double');
  readonly #tags: readonly ColumnBuffer[];
  readonly #fields = new Map<string, Map<FieldType, ColumnBuffer>>();
  readonly #originalNames = new Map<string, string>();
  #rowCount = 0;

  constructor(options: TableBatchOptions) {
    this.#options = options;
    this.#tags = options.tags.map(() => new ColumnBuffer('string'));
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  /** About what it takes in memory: eight bytes a value, and every text once. The Parquet file is smaller. */
  get estimatedBytes(): number {
    const columns = [
      this.#time,
      ...this.#tags,
      ...[...this.#fields.values()].flatMap((byType) => [...byType.values()]),
    ];
    const chars = columns.reduce((sum, { dictionary }) => sum + (dictionary?.chars ?? 0), 0);
    return columns.length * this.#rowCount * 8 + chars;
  }

  /** Whether a field of this name still fits in. */
  hasRoomFor(field: string): boolean {
    return this.#fields.has(field) || this.#fields.size < fieldsPerTableMax;
  }

  /** Begins a row; its fields follow with `setField`. `tagValues` in the order of the tags. */
  beginRow(timeUs: number, tagValues: readonly string[]): void {
    const row = this.#rowCount++;
    this.#time.set(row, timeUs);
    for (const [index, value] of tagValues.entries()) this.#tags[index]?.set(row, value);
  }

  setField(name: string, originalName: string, type: FieldType, value: number | boolean | string): void {
    let columns = this.#fields.get(name);
    if (!columns) {
      columns = new Map();
      this.#fields.set(name, columns);
      if (originalName !== name) this.#originalNames.set(name, originalName);
    }
    let column = columns.get(type);
    if (!column) {
      column = new ColumnBuffer(type);
      columns.set(type, column);
    }
    column.set(this.#rowCount - 1, value);
  }

  finish(): BatchColumns {
    const rowCount = this.#rowCount;
    const tags = this.#options.tags.map((name, index) => ({
      name,
      ...columnAt(this.#tags, index).finish(rowCount),
    }));
    return {
      rowCount,
      timeUs: this.#time.finish(rowCount).values,
      tags: tags.sort(byName),
      fields: [...this.#fields].flatMap(([name, columns]) => this.#nameColumns(name, columns)).sort(byName),
      originalNames: Object.fromEntries(this.#originalNames),
    };
  }

  #nameColumns(name: string, columns: ReadonlyMap<FieldType, ColumnBuffer>): NamedColumn[] {
    const plain = planPlainType([...columns.keys()], this.#options.declaredTypes.get(name));
    return [...columns].map(([type, column]) => ({
      name: type === plain ? name : sideColumnName(name, type),
      ...column.finish(this.#rowCount),
    }));
  }
}

/** Which of the types that occurred keeps the field's own name; undefined where the declared one did not occur. */
export function planPlainType(
  occurring: readonly FieldType[],
  declared: FieldType | undefined,
): FieldType | undefined {
  return declared ?? fieldTypes.find((type) => occurring.includes(type));
}

function columnAt(columns: readonly ColumnBuffer[], index: number): ColumnBuffer {
  return columns[index] ?? new ColumnBuffer('string');
}

function byName(a: NamedColumn, b: NamedColumn): number {
  return a.name < b.name ? -1 : 1;
}
