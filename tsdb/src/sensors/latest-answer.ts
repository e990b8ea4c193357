/**
 * The newest row of every series as an answer of `/api/v1/latest`, from what `latest/series-register.ts` knows. Pure.
 *
 * 1. Series whose tags are not asked for are left out; the others come in the order of their tags.
 * 2. `age_ms` is how long ago the row was measured, by our clock: negative where a sensor's runs ahead. `stale` says whether
 *    that is longer than was asked for; null where nothing was.
 *
 * Rows' texts and the order of all series are kept from one answer to the next: rows never change, they are replaced, and
 * series are only added. Between two answers most of them are the same, and what is left to do for a row is to look whether
 * it still is, and to copy its text.
 */
import { timeColumnName, type FieldType, type TableColumns } from '@varve/common/contract/columns.js';
import { BIGINT, BOOLEAN, DOUBLE, VARCHAR, type DuckDBType } from '@duckdb/node-api';
import { shownFields } from '../delta/shown-fields.js';
import type { LatestRow, LatestRows } from '../latest/series.js';
import { jsonEncoder, type JsonEncoder } from '../query/json-values.js';
import { TextPage, TextStamp } from '../query/text-page.js';
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
  /** `{"columns":[…],"rows":[…]`: what else is in the object, and its end, are the caller's to write. */
  readonly page: TextPage;
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
  const known = keptOf(rows, tags);
  keepShape(known, JSON.stringify([tags, fields]));
  const found = chosenSeries(known, question.tagValues);
  const shown = found.slice(0, rowsMax);
  const tailOf = (timeUs: number) => {
    const ageMs = Math.round(nowMs - timeUs / 1_000);
    return `,${ageMs},${staleAfterMs === undefined ? 'null' : String(ageMs > staleAfterMs)}]`;
  };
  const page = new TextPage();
  page.put(`{"columns":${JSON.stringify(columnNames(tags, fields))},"rows":[`);
  putRows(
    page,
    shown,
    tailOf,
    (series) => (series.text ??= Buffer.from(`[${rowText(series.row, tags, fields)}`)),
  );
  page.put(']');
  return { page, rowCount: shown.length, isTruncated: shown.length < found.length };
}

/** Rows of one instant end alike, and often come one after the other. */
function putRows(
  page: TextPage,
  series: readonly KeptSeries[],
  tailOf: (timeUs: number) => string,
  textOf: (series: KeptSeries) => Buffer,
): void {
  let tail: { readonly timeUs: number; readonly stamp: TextStamp } | undefined;
  for (const [index, one] of series.entries()) {
    const { timeUs } = one.row;
    if (tail?.timeUs !== timeUs) tail = { timeUs, stamp: new TextStamp(tailOf(timeUs)) };
    if (index > 0) page.putCharacter(comma);
    page.putBytes(textOf(one));
    page.putStamp(tail.stamp);
  }
}

const comma = 44;

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

function chosenSeries({ series }: KeptOrder, tagValues: LatestQuestion['tagValues']): readonly KeptSeries[] {
  if (tagValues.size === 0) return series;
  const wanted = [...tagValues].map(([tag, values]) => [tag, new Set(values)] as const);
  return series.filter(({ row: { tags } }) =>
    wanted.every(([tag, values]) => {
      const value = tags[tag];
      return value !== undefined && values.has(value);
    }),
  );
}

interface KeptSeries {
  /** Of `latest/series.ts`. */
  readonly key: string;
  row: LatestRow;
  /** Of the row in the shape that was asked for last, up to its age; undefined until it is needed. */
  text: Buffer | undefined;
}

/** All series of a table, in the order of their tags. */
interface KeptOrder {
  readonly tags: string;
  readonly series: readonly KeptSeries[];
  shape: string;
}

const keptOrders = new WeakMap<LatestRows, KeptOrder>();

/** With the rows of now. */
function keptOf(rows: LatestRows, tags: readonly string[]): KeptOrder {
  const tagsText = tags.join();
  let order = keptOrders.get(rows);
  if (order?.tags !== tagsText || order.series.length !== rows.size) {
    order = { tags: tagsText, series: sortedSeries(rows, tags), shape: '' };
    keptOrders.set(rows, order);
  }
  for (const series of order.series) {
    const row = rows.get(series.key) ?? series.row;
    if (row === series.row) continue;
    series.row = row;
    series.text = undefined;
  }
  return order;
}

function keepShape(order: KeptOrder, shape: string): void {
  if (order.shape === shape) return;
  order.shape = shape;
  for (const series of order.series) series.text = undefined;
}

export function rowsInOrder(rows: LatestRows, tags: readonly string[]): LatestRow[] {
  return keptOf(rows, tags).series.map(({ row }) => row);
}

function sortedSeries(rows: LatestRows, tags: readonly string[]): KeptSeries[] {
  return [...rows]
    .sort(([, left], [, right]) => compareTags(left.tags, right.tags, tags))
    .map(([key, row]) => ({ key, row, text: undefined }));
}

function compareTags(left: LatestRow['tags'], right: LatestRow['tags'], tags: readonly string[]): number {
  for (const tag of tags) {
    const leftValue = left[tag] ?? '';
    const rightValue = right[tag] ?? '';
    if (leftValue !== rightValue) return leftValue < rightValue ? -1 : 1;
  }
  return 0;
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
