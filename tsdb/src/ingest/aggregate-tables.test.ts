import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { FieldType } from '@varve/common/contract/columns.js';
import { noonUs, TestLake, type ShipmentRow, type TestShipment, type Value } from './lake.test.fixture.js';

let lake: TestLake;
beforeEach(async () => void (lake = await TestLake.open()));
afterEach(async () => lake.close());

const aggregate = { everyMs: 10_000 };
const tags = ['device', 'part'];

/** The columns of a field. */
function typesOf(field: string, type: FieldType): Record<string, FieldType> {
  const ends = { first: type, last: type, first_time: 'long', last_time: 'long' } as const;
  const numbers = { sum: 'double', min: type, max: type } as const;
  const all = { count: 'long', ...ends, ...(type === 'double' || type === 'long' ? numbers : {}) } as const;
  return Object.fromEntries(Object.entries(all).map(([wanted, each]) => [`${field}_${wanted}`, each]));
}

/** The partial of one value of field `v`. */
function rowOf(part: string | null, value: Value, more: Partial<ShipmentRow> = {}): ShipmentRow {
  const [v_first_time, v_last_time] = [noonUs + 7, noonUs + 7];
  const v = { v_min: value, v_max: value, v_first: value, v_last: value, v_first_time, v_last_time };
  return { time: noonUs, device: 'a', part, v_count: 1, v_sum: value, ...v, ...more };
}

const types = typesOf('v', 'double');
const partials = (seq: number, more: Partial<TestShipment> = {}): TestShipment => ({
  seq,
  tags,
  types,
  aggregate,
  rows: [rowOf(`p${seq}`, seq)],
  ...more,
});
const rawRows = (seq: number): TestShipment => ({ seq, rows: [{ time: noonUs, device: 'a', v: 1 }] });

/** The reasons of what is in quarantine, in order of keys. */
async function reasons(): Promise<string[]> {
  const texts: string[] = [];
  for (const key of await lake.keys('quarantine/'))
    if (key.endsWith('.reason.json')) {
      const note = JSON.parse(Buffer.from(await lake.store.get(key)).toString()) as { reason: string };
      texts.push(note.reason);
    }
  return texts;
}

test('the first shipment of aggregates makes its table one, in the commit that creates it', async () => {
  await lake.ship(partials(1));
  await lake.runClean(await lake.openIngester());
  const first = Buffer.from(await lake.store.get('tables/main/climate/_delta_log/00000000000000000000.json'));
  assert.match(first.toString(), /"varve\.aggregate":"\{\\"every_ms\\":10000\}"/);
  const snapshot = await lake.snapshot();
  assert.deepEqual(snapshot.aggregate, aggregate);
  assert.deepEqual(
    snapshot.columns.tags.map(({ name }) => name),
    tags,
  );
});

test('partials of one window stay apart, and one that comes twice replaces itself', async () => {
  const ingester = await lake.openIngester();
  await lake.ship(partials(1));
  await lake.ship(partials(2));
  await lake.runClean(ingester);
  await lake.ship(partials(3, { rows: [rowOf('p1', 1), rowOf('p3', 3)] }));
  await lake.runClean(ingester);
  const rows = await lake.readTable();
  assert.deepEqual(
    rows.map(({ part, v_sum }) => [part, v_sum]),
    [
      ['p1', 1],
      ['p2', 2],
      ['p3', 3],
    ],
  );
});

test('new columns leave the table a table of aggregates', async () => {
  const ingester = await lake.openIngester();
  await lake.ship(partials(1));
  await lake.runClean(ingester);
  await lake.ship(partials(2, { types: { ...types, ...typesOf('s', 'string') } }));
  await lake.runClean(ingester);
  assert.deepEqual((await lake.snapshot()).aggregate, aggregate);
  assert.match(await lake.columnsText(), /s_count:long s_first:string .* v_sum:double$/);
});

test('a field whose type changes goes beside, whole, and integers go into doubles', async () => {
  const ingester = await lake.openIngester();
  await lake.ship(partials(1, { types: typesOf('v', 'long') }));
  await lake.runClean(ingester);
  await lake.ship(partials(2));
  await lake.ship(partials(3, { types: typesOf('v', 'long') }));
  await lake.ship(partials(4));
  await lake.runClean(ingester);
  const rows = await lake.readTable();
  assert.deepEqual(
    rows.map(({ v_count, v_min, v__double_count, v__double_min, v__double_sum }) =>
      [v_count, v_min, v__double_count, v__double_min, v__double_sum].map(String).join(' '),
    ),
    ['1 1 null null null', 'null null 1 2 2', '1 3 null null null', 'null null 1 4 4'],
  );
  assert.deepEqual(await reasons(), []);
});

describe('rows and aggregates do not mix, nor widths; the reason names both', () => {
  const wider = { aggregate: { everyMs: 60_000 } };
  const cases: [name: string, first: TestShipment, second: TestShipment, reason: string][] = [
    [
      'rows into aggregates',
      partials(1),
      rawRows(2),
      'the shipment has rows that are no aggregates, its table has aggregates of every 10000 ms',
    ],
    [
      'aggregates into rows',
      rawRows(1),
      partials(2),
      'the shipment has aggregates of every 10000 ms, its table has rows that are no aggregates',
    ],
    [
      'another width',
      partials(1),
      partials(2, wider),
      'the shipment has aggregates of every 60000 ms, its table has aggregates of every 10000 ms',
    ],
  ];
  for (const [name, first, second, reason] of cases) {
    test(`${name}, into a table that there is`, async () => {
      const ingester = await lake.openIngester();
      await lake.ship(first);
      await lake.runClean(ingester);
      await lake.ship(second);
      assert.equal((await lake.runClean(ingester)).quarantined, 1);
      assert.deepEqual(await reasons(), [reason]);
      assert.equal((await lake.readTable()).length, 1);
    });
    test(`${name}, in the commit that creates the table`, async () => {
      await lake.ship(first);
      await lake.ship(second);
      await lake.ship({ ...first, seq: 3, rows: first.rows.map((row) => ({ ...row, device: 'b' })) });
      assert.equal((await lake.runClean(await lake.openIngester())).quarantined, 1);
      assert.deepEqual(await reasons(), [reason]);
      assert.equal((await lake.readTable()).length, 2);
    });
  }
});

test('a shipment that is broken decides nothing', async () => {
  await lake.ship(partials(1, { tags: ['device'] }));
  await lake.ship(rawRows(2));
  await lake.runClean(await lake.openIngester());
  assert.equal((await lake.snapshot()).aggregate, undefined);
});

describe('a shipment with nothing in it, in place of one that was lost, decides nothing and fits everywhere', () => {
  const blank = (seq: number): TestShipment => ({
    seq,
    tags: [],
    rows: [],
    select: 'SELECT time FROM (SELECT now() AS time) WHERE false',
    lies: { lostRows: 7 },
  });
  const cases: [name: string, shipments: TestShipment[]][] = [
    ['first', [blank(1), partials(2)]],
    ['first, with a width', [{ ...blank(1), aggregate }, partials(2)]],
    ['later', [partials(1), blank(2), partials(3)]],
    ['later, with a width', [partials(1), { ...blank(2), aggregate }, partials(3)]],
  ];
  for (const [name, shipments] of cases)
    test(name, async () => {
      const ingester = await lake.openIngester();
      for (const shipment of shipments) {
        await lake.ship(shipment);
        await lake.runClean(ingester);
      }
      assert.deepEqual(await reasons(), []);
      assert.deepEqual((await lake.snapshot()).aggregate, aggregate);
      assert.deepEqual([...(await lake.snapshot()).transactions.values()], [shipments.length]);
    });
});

const sketched = { ...types, v_sketch: 'string' } as const;

test('a table that gets sketches shows the quantiles of all its shipments', async () => {
  const ingester = await lake.openIngester();
  await lake.ship(partials(1));
  await lake.runClean(ingester);
  for (const [seq, quantiles] of [
    [2, [0.5]],
    [3, [0.99]],
    [4, [0.5]],
  ] as const) {
    const rows = [rowOf(`p${seq}`, seq, { v_sketch: `${seq}:1` })];
    await lake.ship(partials(seq, { types: sketched, rows, aggregate: { ...aggregate, quantiles } }));
    await lake.runClean(ingester);
  }
  assert.deepEqual(await reasons(), []);
  assert.deepEqual((await lake.snapshot()).aggregate, { ...aggregate, quantiles: [0.5, 0.99] });
});

describe('aggregates that break the contract go into quarantine', () => {
  const without = (name: string) =>
    Object.fromEntries(Object.entries(types).filter(([each]) => each !== name));
  const cases: [name: string, more: Partial<TestShipment>, reason: string][] = [
    ['no part', { tags: ['device'] }, 'there are aggregates without the tag "part"'],
    [
      'a part that is a field',
      { tags: ['device'], types: { ...types, part: 'string' } },
      'there are aggregates without the tag "part"',
    ],
    [
      'a column of no aggregate',
      { types: { ...types, v: 'double' } },
      'column "v" is neither a tag nor an aggregate of a field',
    ],
    [
      'an aggregate of no field',
      { types: { ...types, _count: 'long' } },
      'column "_count" is neither a tag nor an aggregate of a field',
    ],
    [
      'a tag called like an aggregate',
      { tags: [...tags, 'v_mean'] },
      'tag "v_mean" has a name that aggregates of a field could have',
    ],
    [
      'a tag called like another',
      { tags: [...tags, 'w_count'] },
      'tag "w_count" has a name that aggregates of a field could have',
    ],
    [
      'a count that is no integer',
      { types: { ...types, v_count: 'double' } },
      'column "v_count" of a field of type double has type double, it should have type long',
    ],
    [
      'a smallest value of another type',
      { types: { ...types, v_min: 'long' } },
      'column "v_min" of a field of type double has type long, it should have type double',
    ],
    [
      'no sum',
      { types: without('v_sum') },
      'column "v_sum" of a field of type double is not there, it should have type double',
    ],
    ['no first value', { types: without('v_first') }, 'there is no column "v_first"'],
    [
      'a sum of texts',
      { types: { ...typesOf('v', 'string'), v_sum: 'double' } },
      'column "v_sum" of a field of type string has type double, it should not be there',
    ],
    [
      'a sketch of texts',
      { types: { ...typesOf('v', 'string'), v_sketch: 'string' } },
      'column "v_sketch" of a field of type string has type string, it should not be there',
    ],
    [
      'a sketch that is none',
      { types: sketched, rows: [rowOf('p', 1, { v_sketch: '1;1' })] },
      '1 rows have a sketch that is none, or not of the values they count',
    ],
    [
      'a sketch with numbers that are none',
      { types: sketched, rows: [rowOf('p', 1, { v_sketch: '1.2.3:1' })] },
      '1 rows have a sketch that is none, or not of the values they count',
    ],
    [
      'a sketch of other values',
      { types: sketched, rows: [rowOf('p', 1, { v_sketch: '1:1 2:1' })] },
      '1 rows have a sketch that is none, or not of the values they count',
    ],
    ['a row without a part', { rows: [rowOf(null, 1)] }, '1 rows have no part'],
    [
      'a row between windows',
      { rows: [rowOf('p', 1, { time: noonUs + 1 })] },
      '1 rows do not begin where a window does',
    ],
    [
      'a first time before the window',
      { rows: [rowOf('p', 1, { v_first_time: noonUs - 1 })] },
      '1 rows have first or last times outside their windows',
    ],
    [
      'a last time in the next window',
      { rows: [rowOf('p', 1, { v_last_time: noonUs + 10_000_000 })] },
      '1 rows have first or last times outside their windows',
    ],
  ];
  for (const [name, more, reason] of cases)
    test(name, async () => {
      await lake.ship(partials(1, more));
      await lake.ship(partials(2));
      const report = await lake.runClean(await lake.openIngester());
      assert.equal(report.quarantined, 1);
      assert.deepEqual(await reasons(), [reason]);
      assert.equal((await lake.readTable()).length, 1);
    });
});

test('a field with the longest name there is has aggregates, and windows without a value are no fault', async () => {
  const field = 'v'.repeat(63);
  const row = { time: noonUs, device: 'a', part: 'p1' };
  await lake.ship(partials(1, { types: { ...typesOf(field, 'boolean'), ...types }, rows: [row] }));
  await lake.runClean(await lake.openIngester());
  assert.deepEqual(await reasons(), []);
  assert.equal((await lake.readTable()).length, 1);
});
