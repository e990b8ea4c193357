/**
 * A plain in-memory model of a table: a map from (tags, time) to fields, into which every row is written in order, nulls left
 * out. And shipments for it, made by fast-check. The schema is one for all; each shipment leaves some of its columns out.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import fc from 'fast-check';
import type { Row } from '../delta/duckdb.js';
import { noonUs, type ShipmentRow, type TestShipment, type Value } from './lake.test.fixture.js';

const types: Readonly<Record<string, FieldType>> = {
  b: 'boolean',
  // With a declared resolution in some shipments, which not every value keeps to.
  d: 'double',
  l: 'long',
  // A long from one agent, a double from the other.
  n: 'long',
  s: 'string',
  v: 'double',
};
const tags = ['device', 'site'];

/** Fields by the text of time and tags. */
export type Model = Map<string, Record<string, Value>>;

const row = fc.record({
  // Few instants, in two days, so that rows meet.
  time: fc.constantFrom(0, 1, 2, 1_000, 50_000_000_000, 50_000_000_001).map((us) => noonUs + us),
  device: fc.constantFrom('x', 'y', null),
  site: fc.constantFrom('p', null),
  b: fc.constantFrom(true, false, null),
  d: fc.constantFrom(21.37, 0.1 + 0.2, -5, 1e17, Infinity, null),
  n: fc.constantFrom(1, 2, null),
  l: fc.constantFrom(1n, 9007199254740993n, null),
  s: fc.constantFrom('', "it's", null),
  v: fc.constantFrom(1.5, -0, null),
});
export const names = [...tags, ...Object.keys(types)];

export interface GeneratedShipment {
  readonly agent: string;
  readonly rows: readonly ShipmentRow[];
  readonly columns: readonly string[];
  readonly hasDecimals: boolean;
}

export const shipment: fc.Arbitrary<GeneratedShipment> = fc.record({
  agent: fc.constantFrom('a', 'b'),
  rows: fc.array(row, { maxLength: 8 }),
  columns: fc.subarray(names, { minLength: 3 }),
  hasDecimals: fc.boolean(),
});

export function toTestShipment(
  { agent, rows, columns, hasDecimals }: GeneratedShipment,
  seq: number,
): TestShipment {
  const kept = (name: string) => columns.includes(name);
  const ofAgent: typeof types = agent === 'b' ? { ...types, n: 'double' } : types;
  return {
    agent,
    seq,
    rows,
    tags: tags.filter(kept),
    types: Object.fromEntries(Object.entries(ofAgent).filter(([name]) => kept(name))),
    ...(hasDecimals && kept('d') && { decimals: { d: 2 } }),
  };
}

export function write(model: Model, { rows, columns }: GeneratedShipment): void {
  for (const each of rows) {
    const kept = Object.fromEntries(columns.map((name) => [name, each[name] ?? null]));
    const key = [each.time, ...tags.map((name) => kept[name] ?? 'null')].join(' ');
    const fields = model.get(key) ?? {};
    for (const name of Object.keys(types)) fields[name] = kept[name] ?? fields[name] ?? null;
    model.set(key, fields);
  }
}

/** As `rowText` has rows that a query sees. */
export function modelTexts(model: Model): string[] {
  return [...model].map(([key, fields]) => `${key} | ${fieldsText(fields)}`).sort();
}

export function rowText(each: Row): string {
  const key = [each['time'], ...tags.map((name) => each[name] ?? 'null')].map(String).join(' ');
  return `${key} | ${fieldsText(each)}`;
}

function fieldsText(fields: Readonly<Record<string, unknown>>): string {
  return Object.keys(types)
    .map((name) => String((fields[name] ?? null) as Value))
    .join(' ');
}
