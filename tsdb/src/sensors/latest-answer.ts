/**
 * The newest row of every series as an answer of `/api/v1/latest`, from what `latest/series-register.ts` knows. Pure.
 *
 * 1. Series whose tags are not asked for are left out; the others come in the order of their tags.
 * 2. `age_ms` is how long ago the row was measured, by our clock: negative where a sensor's runs ahead. `stale` says whether
 *    that is longer than was asked for; null where nothing was.
 *
 * A row's text and the order of all series are kept from one answer to the next: rows never change, they are replaced, and
 * series are only added. Between two answers most of them are the same.
 */
import { timeColumnName, type FieldType, type TableColumns } from '@varve/common/contract/columns.js';
import { BIGINT, BOOLEAN, DOUBLE, VARCHAR, type DuckDBType } from '@duckdb/node-api';
import { shownFields } from '../delta/shown-fields.js';
import type { LatestRow, LatestRows } from '../latest/series.js';
import { jsonEncoder, type JsonEncoder } from '../query/json-values.js';
import { timestampText } from '../query/time-text.js';

export interface LatestQuestion {
  /** Tag values by tag. */
  readonly tagValues: ReadonlyMap<string, readonly string[]>;
  /** Fields, in this order; undefined for all. They are the table's. */
  readonly fields: readonly string[] | undefined;
  readonly staleAfterMs: number | undefined;
  readonly rowsMax: number;
}

export interface LatestTexts {
  /** `"columns":[…]` and `"rows":[…]`, without the brace around them. */
  readonly json: string;
  readonly rowCount: number;
  readonly isTruncated: boolean;
}

const duckDbTypes: Readonly<Record<FieldType, DuckDBType>> = {
  double: DOUBLE,
  long: BIGINT,
  boolean: BOOLEAN,
  string: VARCHAR,
};
const typeNames: Readonly<Record<FieldType, string>> = {
  double: 'double',
  long: 'int64',
  boolean: 'bool',
  string: 'string',
};

export function latestTexts(
  rows: LatestRows,
  columns: TableColumns,
  question: LatestQuestion,
  nowMs: number,
): LatestTexts {
  const { staleAfterMs, rowsMax } = question;
  const tags = columns.tags.map(({ name }) => name);
  const fields = chosenFields(columns, question.fields);
  const shape = JSON.stringify([tags, fields]);
  const found = chosenRows(rowsInOrder(rows, tags), question.tagValues);
  const shown = found.slice(0, rowsMax);
  const texts = shown.map((row) => {
    const ageMs = Math.round(nowMs - row.timeUs / 1_000);
    const stale = staleAfterMs === undefined ? 'null' : ageMs > staleAfterMs;
    return `[${keptText(row, shape, tags, fields)},${ageMs},${stale}]`;
  });
  return {
    json: `"columns":${JSON.stringify(columnNames(tags, fields))},"rows":[${texts.join(',')}]`,
    rowCount: shown.length,
    isTruncated: shown.length < found.length,
  };
}

interface ChosenField {
  readonly name: string;
  readonly type: FieldType;
  readonly encode: JsonEncoder;
}

function chosenFields(columns: TableColumns, names: readonly string[] | undefined): ChosenField[] {
  const all = shownFields(columns).map(({ name, type }) => ({
    name,
    type,
    encode: jsonEncoder(duckDbTypes[type]),
  }));
  return names ? names.flatMap((name) => all.find((field) => field.name === name) ?? []) : all;
}

function columnNames(
  tags: readonly string[],
  fields: readonly ChosenField[],
): { name: string; type: string }[] {
  return [
    { name: timeColumnName, type: 'timestamp[us, UTC]' },
    ...tags.map((name) => ({ name, type: 'string' })),
    ...fields.map(({ name, type }) => ({ name, type: typeNames[type] })),
    { name: 'age_ms', type: 'int64' },
    { name: 'stale', type: 'bool' },
  ];
}

function chosenRows(
  rows: readonly LatestRow[],
  tagValues: LatestQuestion['tagValues'],
): readonly LatestRow[] {
  if (tagValues.size === 0) return rows;
  const wanted = [...tagValues].map(([tag, values]) => [tag, new Set(values)] as const);
  return rows.filter(({ tags }) =>
    wanted.every(([tag, values]) => {
      const value = tags[tag];
      return value !== undefined && values.has(value);
    }),
  );
}

/** Keys of `latest/series.ts` in the order of their tags. */
const keptOrders = new WeakMap<LatestRows, { readonly tags: string; readonly keys: readonly string[] }>();

export function rowsInOrder(rows: LatestRows, tags: readonly string[]): LatestRow[] {
  const tagsText = tags.join();
  let order = keptOrders.get(rows);
  if (order?.tags !== tagsText || order.keys.length !== rows.size) {
    order = { tags: tagsText, keys: sortedKeys(rows, tags) };
    keptOrders.set(rows, order);
  }
  return order.keys.flatMap((key) => rows.get(key) ?? []);
}

function sortedKeys(rows: LatestRows, tags: readonly string[]): string[] {
  return [...rows]
    .sort(([, left], [, right]) => compareTags(left.tags, right.tags, tags))
    .map(([key]) => key);
}

function compareTags(left: LatestRow['tags'], right: LatestRow['tags'], tags: readonly string[]): number {
  for (const tag of tags) {
    const leftValue = left[tag] ?? '';
    const rightValue = right[tag] ?? '';
    if (leftValue !== rightValue) return leftValue < rightValue ? -1 : 1;
  }
  return 0;
}

/** Of the shape that was asked for last. */
const keptTexts = new WeakMap<LatestRow, { readonly shape: string; readonly text: string }>();

function keptText(
  row: LatestRow,
  shape: string,
  tags: readonly string[],
  fields: readonly ChosenField[],
): string {
  let kept = keptTexts.get(row);
  if (kept?.shape !== shape) {
    kept = { shape, text: rowText(row, tags, fields) };
    keptTexts.set(row, kept);
  }
  return kept.text;
}

function rowText(row: LatestRow, tags: readonly string[], fields: readonly ChosenField[]): string {
  let text = `"${timestampText(BigInt(row.timeUs), 1_000_000) ?? ''}"`;
  for (const tag of tags) {
    const value = row.tags[tag];
    text += value === undefined ? ',null' : `,${JSON.stringify(value)}`;
  }
  for (const { name, encode } of fields) text += `,${encode(row.values[name] ?? null)}`;
  return text;
}
