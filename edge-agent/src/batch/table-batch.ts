/**
 * The rows of one table since the last shipment, as columns.
 *
 * A field that holds values of several types becomes several columns: the declared type, or else the first of double,
 * long, boolean, string that occurs, keeps the name; the others stand beside it (`value__string`). So nothing is dropped and
 * the same rows make the same columns in whatever order they came.
 */
import { fieldTypes, sideColumnName, type FieldType } from '@varve/common/contract/columns.js';
import { ColumnBuffer, type ColumnValue, type FinishedColumn } from './column-buffer.js';

/** More than this in one table is a sensor that writes its data into names. */
export const fieldsPerTableMax = 1_000;
/** Of one shipment; its metadata lists them. */
export const tagsPerTableMax = 100;

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
  /** Column → decimals of doubles with a declared resolution; absent: none. */
  readonly decimals?: Readonly<Record<string, number>>;
}

/** What a stream says of every row it makes. */
export interface DeclaredColumns {
  readonly tagNames: readonly string[];
  readonly declaredTypes: ReadonlyMap<string, FieldType>;
  readonly decimals?: ReadonlyMap<string, number>;
}

export interface TableBatchOptions {
  readonly tags: readonly string[];
  readonly declaredTypes: ReadonlyMap<string, FieldType>;
}

export class TableBatch {
  readonly #time = new ColumnBuffer('double');
  readonly #tags = new Map<string, ColumnBuffer>();
  readonly #fields = new Map<string, Map<FieldType, ColumnBuffer>>();
  readonly #declared = new Map<string, FieldType>();
  readonly #decimals = new Map<string, number>();
  readonly #declaredBy = new Set<DeclaredColumns>();
  readonly #originalNames = new Map<string, string>();
  #rowCount = 0;

  constructor({ tags, declaredTypes }: TableBatchOptions) {
    this.declare({ tagNames: tags, declaredTypes });
  }

  /** Tags that all rows have, if as null, and types that fields are meant to have. Nothing the second time. */
  declare(columns: DeclaredColumns): void {
    if (this.#declaredBy.has(columns)) return;
    this.#declaredBy.add(columns);
    for (const name of columns.tagNames) this.#tagOf(name);
    for (const [name, type] of columns.declaredTypes) {
      const before = this.#declared.get(name);
      // Two streams that disagree: the same one wins in whatever order they come.
      if (before === undefined || fieldTypes.indexOf(type) < fieldTypes.indexOf(before))
        this.#declared.set(name, type);
    }
    for (const [name, decimals] of columns.decimals ?? [])
      this.#decimals.set(name, Math.max(decimals, this.#decimals.get(name) ?? 0));
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  /** About what it takes in memory: eight bytes a value, and every text once. The Parquet file is smaller. */
  get estimatedBytes(): number {
    const columns = [
      this.#time,
      ...this.#tags.values(),
      ...[...this.#fields.values()].flatMap((byType) => [...byType.values()]),
    ];
    const chars = columns.reduce((sum, { dictionary }) => sum + (dictionary?.chars ?? 0), 0);
    return columns.length * this.#rowCount * 8 + chars;
  }

  get fieldCount(): number {
    return this.#fields.size;
  }

  get tagCount(): number {
    return this.#tags.size;
  }

  hasField(name: string): boolean {
    return this.#fields.has(name);
  }

  hasTag(name: string): boolean {
    return this.#tags.has(name);
  }

  /** Begins a row; its tags and fields follow. `tagValues` in the order of the tags declared first. */
  beginRow(timeUs: number, tagValues?: readonly string[]): void {
    const row = this.#rowCount++;
    this.#time.set(row, timeUs);
    if (!tagValues) return;
    let index = 0;
    for (const column of this.#tags.values()) {
      const value = tagValues[index++];
      if (value === undefined) return;
      column.set(row, value);
    }
  }

  setTag(name: string, value: string): void {
    this.#tagOf(name).set(this.#rowCount - 1, value);
  }

  setField(name: string, originalName: string, type: FieldType, value: ColumnValue): void {
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
    const tags = [...this.#tags].map(([name, column]) => ({ name, ...column.finish(rowCount) }));
    const fields = [...this.#fields].flatMap(([name, columns]) => this.#nameColumns(name, columns));
    return {
      rowCount,
      timeUs: this.#time.finish(rowCount).values,
      tags: tags.sort(byName),
      fields: fields.sort(byName),
      originalNames: Object.fromEntries(this.#originalNames),
      ...(this.#decimals.size > 0 && { decimals: decimalsOf(fields, this.#decimals) }),
    };
  }

  /** A field that has the name of a tag stands beside it. */
  #nameColumns(name: string, columns: ReadonlyMap<FieldType, ColumnBuffer>): NamedColumn[] {
    const plain = this.#tags.has(name)
      ? undefined
      : planPlainType([...columns.keys()], this.#declared.get(name));
    return [...columns].map(([type, column]) => ({
      name: type === plain ? name : sideColumnName(name, type),
      ...column.finish(this.#rowCount),
    }));
  }

  #tagOf(name: string): ColumnBuffer {
    let column = this.#tags.get(name);
    if (!column) {
      column = new ColumnBuffer('string');
      this.#tags.set(name, column);
    }
    return column;
  }
}

/** Which of the types that occurred keeps the field's own name; undefined where the declared one did not occur. */
export function planPlainType(
  occurring: readonly FieldType[],
  declared: FieldType | undefined,
): FieldType | undefined {
  return declared ?? fieldTypes.find((type) => occurring.includes(type));
}

/** Of those columns that are doubles. */
export function decimalsOf(
  columns: readonly NamedColumn[],
  declared: ReadonlyMap<string, number>,
): Record<string, number> {
  return Object.fromEntries(
    columns.flatMap(({ name, type }) => {
      const decimals = type === 'double' ? declared.get(name) : undefined;
      return decimals === undefined ? [] : [[name, decimals]];
    }),
  );
}

function byName(a: NamedColumn, b: NamedColumn): number {
  return a.name < b.name ? -1 : 1;
}
