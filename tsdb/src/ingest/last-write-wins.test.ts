import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FieldType } from '@varve/common/contract/columns.js';
import type { Row } from '../delta/duckdb.js';
import type { DataFile } from '../delta/snapshot.js';
import { noonUs, TestLake, type ShipmentRow, type TestShipment, type Value } from './lake.test.fixture.js';

/**
 * I7 against a model: a plain map from (tags, time) to fields, into which every row is written in order, nulls left out.
 * The schema is one for all; each shipment leaves some of its columns out.
 */
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

type Model = Map<string, Record<string, Value>>;

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
const names = [...tags, ...Object.keys(types)];

interface GeneratedShipment {
  readonly agent: string;
  readonly rows: readonly ShipmentRow[];
  readonly columns: readonly string[];
  readonly hasDecimals: boolean;
}

const shipment: fc.Arbitrary<GeneratedShipment> = fc.record({
  agent: fc.constantFrom('a', 'b'),
  rows: fc.array(row, { maxLength: 8 }),
  columns: fc.subarray(names, { minLength: 3 }),
  hasDecimals: fc.boolean(),
});
const rounds = fc.array(fc.array(shipment, { maxLength: 4 }), { minLength: 1, maxLength: 5 });

test('any writes in any order: each (tags, time) once, the last value of each field', async () => {
  await fc.assert(
    fc.asyncProperty(rounds, async (generated) => {
      const lake = await TestLake.open();
      try {
        await checkRounds(lake, generated);
      } finally {
        await lake.close();
      }
    }),
    { numRuns: 40 },
  );
});

async function checkRounds(
  lake: TestLake,
  generated: readonly (readonly GeneratedShipment[])[],
): Promise<void> {
  const ingester = await lake.openIngester();
  const model: Model = new Map();
  const seqs = new Map<string, number>();
  for (const round of generated) {
    for (const each of round) {
      const seq = (seqs.get(each.agent) ?? 0) + 1;
      seqs.set(each.agent, seq);
      await lake.ship(toTestShipment(each, seq));
    }
    const report = await ingester.runOnce();
    assert.deepEqual(report.failures, []);
    for (const each of inTurns(round)) write(model, each);
    if (seqs.size > 0) await checkTable(lake, model);
  }
}

function toTestShipment({ agent, rows, columns, hasDecimals }: GeneratedShipment, seq: number): TestShipment {
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

/** The order of a commit: agents in turn, by name. */
function inTurns(round: readonly GeneratedShipment[]): GeneratedShipment[] {
  const lanes = ['a', 'b'].map((agent) => round.filter((each) => each.agent === agent));
  return Array.from({ length: round.length }, (_, turn) => lanes.flatMap((lane) => lane[turn] ?? [])).flat();
}

function write(model: Model, { rows, columns }: GeneratedShipment): void {
  for (const each of rows) {
    const kept = Object.fromEntries(columns.map((name) => [name, each[name] ?? null]));
    const key = [each.time, ...tags.map((name) => kept[name] ?? 'null')].join(' ');
    const fields = model.get(key) ?? {};
    for (const name of Object.keys(types)) fields[name] = kept[name] ?? fields[name] ?? null;
    model.set(key, fields);
  }
}

async function checkTable(lake: TestLake, model: Model): Promise<void> {
  const { files } = await lake.snapshot();
  const actual = (files.size === 0 ? [] : await lake.readShown()).map(rowText).sort();
  const expected = [...model].map(([key, fields]) => `${key} | ${fieldsText(fields)}`).sort();
  assert.deepEqual(actual, expected);
  for (const file of files.values()) await checkFile(lake, file);
}

function rowText(each: Row): string {
  const key = [each['time'], ...tags.map((name) => each[name] ?? 'null')].map(String).join(' ');
  return `${key} | ${fieldsText(each)}`;
}

function fieldsText(fields: Readonly<Record<string, unknown>>): string {
  return Object.keys(types)
    .map((name) => String((fields[name] ?? null) as Value))
    .join(' ');
}

/** What the log says of a file is true, and the file is sorted. */
async function checkFile(lake: TestLake, file: DataFile): Promise<void> {
  const rows = await lake.query(
    [file],
    'SELECT *, epoch_us("time") AS us, CAST(day AS VARCHAR) AS day_text FROM files',
  );
  assert.equal(rows.length, file.rowCount);
  for (const each of rows) {
    const us = Number(each['us']);
    assert.ok(us >= file.minTimeUs && us <= file.maxTimeUs, 'inside the bounds');
    assert.equal(each['day_text'], file.day);
    assert.equal(new Date(us / 1_000).toISOString().slice(0, 10), file.day);
  }
  const order = rows.map((each) =>
    [each['device'] ?? '~', each['site'] ?? '~', String(each['us'])].join(' '),
  );
  assert.deepEqual(order, order.toSorted(), 'by tags, nulls last, then time');
}
