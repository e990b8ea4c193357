/**
 * What is left of a stream's rows when those that say nothing new are gone (`field-filter.ts`).
 *
 * `plan` looks and changes nothing; `accept` is called when what was planned is durable, with the state of the series it
 * touched. So the same readings are kept however often the agent is killed. Aggregates are made of all readings, not of
 * those kept.
 *
 * A field without a rule is kept always; of a row in which no field is left, nothing is.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import { ColumnBuffer } from '../batch/column-buffer.js';
import type { BatchColumns, NamedColumn } from '../batch/table-batch.js';
import { isValid } from '../encode/sort-rows.js';
import { filterReading, flushHeld, type FilterState, type Point } from './field-filter.js';
import type { FilterRule, ReduceConfig } from './reduce-config.js';

/** Series of one stream that are remembered; of one more the oldest is forgotten, and its next readings are kept. */
const seriesMax = 20_000;

export interface FieldState extends FilterState {
  readonly type: FieldType;
}

/** By column. */
export type SeriesState = Readonly<Record<string, FieldState>>;

export interface ReducePlan {
  readonly columns: BatchColumns;
  /** Series that have changed, by their key. */
  readonly changed: ReadonlyMap<string, SeriesState>;
  /** Series that are remembered no more. */
  readonly forgotten: readonly string[];
}

/** A value that was held back, and is kept after all. */
interface Released {
  readonly tagTexts: readonly (string | null)[];
  readonly column: string;
  readonly type: FieldType;
  readonly point: Point;
}

export class StreamReducer {
  readonly #config: ReduceConfig;
  readonly #tags: readonly string[];
  readonly #series: Map<string, SeriesState>;

  /** `tags` in any order; `series` as they were accepted last, by an earlier process. */
  constructor(config: ReduceConfig, tags: readonly string[], series: ReadonlyMap<string, SeriesState>) {
    this.#config = config;
    this.#tags = tags.toSorted();
    this.#series = new Map(series);
  }

  /** When a value that is held back is kept though nothing comes, ms since 1970; undefined: none is. */
  get nextDueMs(): number | undefined {
    let dueUs = Infinity;
    for (const state of this.#series.values())
      for (const { held } of Object.values(state))
        if (held) dueUs = Math.min(dueUs, held.timeUs + this.#config.heartbeatMs * 1_000);
    return dueUs === Infinity ? undefined : dueUs / 1_000;
  }

  /** `rows` undefined: none came. */
  plan(rows: BatchColumns | undefined, nowMs: number): ReducePlan {
    const columns = rows ?? noRows(this.#tags);
    const changed = new Map<string, SeriesState>();
    const keys = seriesKeys(columns);
    const released: Released[] = [];
    const kept = columns.fields.map((field) => {
      const rule = this.#config.rules.get(field.name);
      if (!rule || field.type === 'string' || field.type === 'boolean') return field;
      return this.#filter(field, rule, columns.timeUs, keys, changed, released);
    });
    this.#release(nowMs, changed, released);
    return { columns: compose(columns, kept, released), changed, forgotten: this.#planForgotten(changed) };
  }

  /** The plan is durable. */
  accept({ changed, forgotten }: ReducePlan): void {
    for (const [key, state] of changed) {
      this.#series.delete(key);
      this.#series.set(key, state);
    }
    for (const key of forgotten) this.#series.delete(key);
  }

  /** Those that have not changed for longest. What they hold back is lost from sight, not from the aggregates. */
  #planForgotten(changed: ReadonlyMap<string, SeriesState>): string[] {
    const unchanged = [...this.#series.keys()].filter((key) => !changed.has(key));
    return unchanged.slice(0, Math.max(0, unchanged.length + changed.size - seriesMax));
  }

  #filter(
    field: NamedColumn,
    rule: FilterRule,
    timeUs: Float64Array,
    keys: readonly string[],
    changed: Map<string, SeriesState>,
    released: Released[],
  ): NamedColumn {
    const kept = new ColumnBuffer(field.type);
    const { name } = field;
    for (const [row, key] of keys.entries()) {
      if (!isValid(field.validity, row)) continue;
      const series = changed.get(key) ?? this.#series.get(key) ?? {};
      const before = series[name];
      const reading = { timeUs: timeUs[row] ?? 0, value: field.values[row] ?? 0 };
      const { state, keepsHeld, keepsReading } = filterReading(
        before,
        reading,
        rule,
        this.#config.heartbeatMs * 1_000,
      );
      if (keepsHeld && before?.held)
        released.push({ tagTexts: textsOfKey(key), column: name, type: field.type, point: before.held });
      if (keepsReading) kept.set(row, reading.value);
      if (state !== before) changed.set(key, { ...series, [name]: { ...state, type: field.type } });
    }
    return { name, ...kept.finish(keys.length) };
  }

  /** Values that have been held for longer than a heartbeat: their series has gone silent. */
  #release(nowMs: number, changed: Map<string, SeriesState>, released: Released[]): void {
    const beforeUs = (nowMs - this.#config.heartbeatMs) * 1_000;
    for (const [key, known] of this.#series) {
      let state = changed.get(key) ?? known;
      for (const [column, filter] of Object.entries(state)) {
        if (!filter.held || filter.held.timeUs > beforeUs) continue;
        const { type, held } = filter;
        released.push({ tagTexts: textsOfKey(key), column, type, point: held });
        state = { ...state, [column]: { ...flushHeld(filter), type } };
        changed.set(key, state);
      }
    }
  }
}

function noRows(tags: readonly string[]): BatchColumns {
  const timeUs = new Float64Array(0);
  return {
    rowCount: 0,
    timeUs,
    tags: tags.map((name) => emptyColumn(name, 'string')),
    fields: [],
    originalNames: {},
  };
}

function emptyColumn(name: string, type: FieldType): NamedColumn {
  return { name, ...new ColumnBuffer(type).finish(0) };
}

function byName(a: NamedColumn, b: NamedColumn): number {
  return a.name < b.name ? -1 : 1;
}

/** One text for each row that says which series it is of. */
function seriesKeys({ rowCount, tags }: BatchColumns): string[] {
  const keys = new Map<string, string>();
  return Array.from({ length: rowCount }, (_, row) => {
    const codes = tags
      .map(({ values, validity }) => (isValid(validity, row) ? (values[row] ?? 0) : -1))
      .join();
    let key = keys.get(codes);
    if (key === undefined) {
      const texts = tags.map(({ values, validity, texts }) =>
        isValid(validity, row) ? (texts[values[row] ?? 0] ?? '') : null,
      );
      key = JSON.stringify(texts);
      keys.set(codes, key);
    }
    return key;
  });
}

function textsOfKey(key: string): (string | null)[] {
  return JSON.parse(key) as (string | null)[];
}

/** The rows in which something is left, and a row for each value that was held back. */
function compose(
  columns: BatchColumns,
  fields: readonly NamedColumn[],
  released: readonly Released[],
): BatchColumns {
  const rows = Array.from({ length: columns.rowCount }, (_, row) => row).filter((row) =>
    fields.some(({ validity }) => isValid(validity, row)),
  );
  const rowCount = rows.length + released.length;
  // What was held back comes first: of two values of one time, the later one wins.
  const timeUs = new Float64Array(rowCount);
  for (const [index, { point }] of released.entries()) timeUs[index] = point.timeUs;
  for (const [index, row] of rows.entries()) timeUs[released.length + index] = columns.timeUs[row] ?? 0;
  const tags = columns.tags.map((tag, tagIndex) =>
    rebuild(tag, rows, released, ({ tagTexts }) => tagTexts[tagIndex] ?? undefined),
  );
  const present = new Set(fields.map(({ name }) => name));
  const absent = new Map(
    released.filter(({ column }) => !present.has(column)).map(({ column, type }) => [column, type]),
  );
  const all = [...fields, ...[...absent].map(([name, type]) => emptyColumn(name, type))];
  const kept = all.map((field) =>
    rebuild(field, rows, released, ({ column, point }) => (column === field.name ? point.value : undefined)),
  );
  return { rowCount, timeUs, tags, fields: kept.sort(byName), originalNames: columns.originalNames };
}

function rebuild(
  column: NamedColumn,
  rows: readonly number[],
  released: readonly Released[],
  valueOf: (released: Released) => number | string | undefined,
): NamedColumn {
  const built = new ColumnBuffer(column.type);
  for (const [index, one] of released.entries()) {
    const value = valueOf(one);
    if (value !== undefined) built.set(index, value);
  }
  for (const [index, row] of rows.entries()) {
    if (!isValid(column.validity, row)) continue;
    const value = column.values[row] ?? 0;
    built.set(released.length + index, column.type === 'string' ? (column.texts[value] ?? '') : value);
  }
  return { name: column.name, ...built.finish(rows.length + released.length) };
}
