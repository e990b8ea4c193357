/**
 * Puts mapped rows into the open batches of their tables: all of them or none. Bounds: fields and tags of a table, and
 * tables of the agent.
 */
import { TableBatch, fieldsPerTableMax, tagsPerTableMax } from '../batch/table-batch.js';
import { Refusal } from './decoder.js';
import type { MappedRows } from './mapped-rows.js';
import type { Mapper } from './mapper.js';
import { tablesMaxDefault, type StreamConfig } from './stream-config.js';
import type { TableRegister } from './table-register.js';

/** What has come in for one table since the last shipment. */
export interface OpenBatch {
  readonly database: string;
  readonly table: string;
  readonly batch: TableBatch;
}

/** By `database.table`. */
export type OpenBatches = Map<string, OpenBatch>;

export interface Destination {
  readonly stream: Pick<StreamConfig, 'database' | 'tablesMax'>;
  /** Every table of the stream has these. */
  readonly columns: Pick<Mapper, 'tagNames' | 'declaredTypes' | 'decimals'>;
  readonly batches: OpenBatches;
  readonly register: TableRegister;
}

/** Columns that a batch is to have besides those it has. */
interface NewColumns {
  readonly fields: Set<string>;
  readonly tags: Set<string>;
}

export class RowAppender {
  /** Of each row of the message. */
  readonly #opened: OpenBatch[] = [];
  readonly #newTables = new Map<string, OpenBatch>();
  readonly #newColumns = new Map<TableBatch, NewColumns>();

  append(mapped: MappedRows, destination: Destination): Refusal | undefined {
    if (this.#newTables.size > 0) this.#newTables.clear();
    if (this.#newColumns.size > 0) this.#newColumns.clear();
    const refusal = this.#plan(mapped, destination) ?? this.#checkRoom();
    if (!refusal) this.#write(mapped, destination);
    // A message of many rows is not to hold batches that have been shipped.
    this.#opened.length = Math.min(this.#opened.length, 1);
    return refusal;
  }

  #plan(mapped: MappedRows, destination: Destination): Refusal | undefined {
    for (let row = 0; row < mapped.rowCount; row++) {
      const table = mapped.tables[row] ?? '';
      const before = row > 0 ? this.#opened[row - 1] : undefined;
      const open = before?.table === table ? before : this.#open(table, destination);
      if (open instanceof Refusal) return open;
      this.#opened[row] = open;
      this.#noteNewColumns(mapped, row, open.batch, destination);
    }
    return undefined;
  }

  /** A new one is not among the batches yet. */
  #open(table: string, { stream, columns, batches, register }: Destination): OpenBatch | Refusal {
    const { database, tablesMax = tablesMaxDefault } = stream;
    const known = batches.get(keyOf(database, table)) ?? this.#newTables.get(table);
    if (known) return known;
    const newCount = [...this.#newTables.values()].filter((open) => !register.has(open)).length;
    const refusal = register.check({ database, table }, tablesMax, newCount);
    if (refusal) return refusal;
    const { tagNames, declaredTypes } = columns;
    const open = { database, table, batch: new TableBatch({ tags: tagNames, declaredTypes }) };
    this.#newTables.set(table, open);
    return open;
  }

  #noteNewColumns(mapped: MappedRows, row: number, batch: TableBatch, { columns }: Destination): void {
    const fieldEnd = mapped.fieldEnds[row] ?? 0;
    for (let at = mapped.fieldStarts[row] ?? 0; at < fieldEnd; at++) {
      const name = mapped.columns[at]?.name ?? '';
      if (!batch.hasField(name)) this.#newColumnsOf(batch, columns).fields.add(name);
    }
    const tagEnd = mapped.tagEnds[row] ?? 0;
    for (let at = mapped.tagStarts[row] ?? 0; at < tagEnd; at++) {
      const name = mapped.tagNames[at] ?? '';
      if (!batch.hasTag(name)) this.#newColumnsOf(batch, columns).tags.add(name);
    }
  }

  #newColumnsOf(batch: TableBatch, { tagNames }: Destination['columns']): NewColumns {
    let noted = this.#newColumns.get(batch);
    if (!noted) {
      noted = { fields: new Set(), tags: new Set(tagNames.filter((name) => !batch.hasTag(name))) };
      this.#newColumns.set(batch, noted);
    }
    return noted;
  }

  #checkRoom(): Refusal | undefined {
    for (const [batch, { fields, tags }] of this.#newColumns) {
      if (batch.fieldCount + fields.size > fieldsPerTableMax)
        return new Refusal('too_many_fields', `the table would have more than ${fieldsPerTableMax} fields`);
      if (batch.tagCount + tags.size > tagsPerTableMax)
        return new Refusal('too_many_tags', `the table would have more than ${tagsPerTableMax} tags`);
    }
    return undefined;
  }

  #write(mapped: MappedRows, { stream, columns, batches, register }: Destination): void {
    for (const open of this.#newTables.values()) {
      batches.set(keyOf(stream.database, open.table), open);
      register.add(open);
    }
    for (let row = 0; row < mapped.rowCount; row++) {
      const open = this.#opened[row];
      if (!open) continue;
      open.batch.declare(columns);
      appendRow(mapped, row, open.batch);
    }
  }
}

function appendRow(mapped: MappedRows, row: number, batch: TableBatch): void {
  batch.beginRow(mapped.timesUs[row] ?? 0);
  const tagEnd = mapped.tagEnds[row] ?? 0;
  for (let at = mapped.tagStarts[row] ?? 0; at < tagEnd; at++)
    batch.setTag(mapped.tagNames[at] ?? '', mapped.tagValues[at] ?? '');
  const fieldEnd = mapped.fieldEnds[row] ?? 0;
  for (let at = mapped.fieldStarts[row] ?? 0; at < fieldEnd; at++) {
    const column = mapped.columns[at];
    const type = mapped.types[at];
    const value = mapped.values[at];
    if (column && type && value !== undefined) batch.setField(column.name, column.originalName, type, value);
  }
}

function keyOf(database: string, table: string): string {
  return `${database}.${table}`;
}
