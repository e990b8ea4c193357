import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { deltaCommitKey, formatInboxKey } from '@varve/common/contract/object-keys.js';
import { noonUs, TestLake, type TestShipment } from './lake.test.fixture.js';

let lake: TestLake;
beforeEach(async () => void (lake = await TestLake.open()));
afterEach(async () => lake.close());

const good: TestShipment = { rows: [{ time: noonUs, device: 'a', v: 1 }] };
const keyOf = (seq: number) =>
  formatInboxKey({
    agent: 'press-hall-3',
    epoch: 'e1',
    lane: 'data',
    database: 'main',
    table: 'climate',
    seq,
  });

const whole = async (shipment: TestShipment) => Buffer.from(await lake.parquet({ seq: 2, ...shipment }));
const select = (sql: string, more: Partial<TestShipment> = {}) =>
  whole({ rows: good.rows, select: `SELECT ${sql}`, ...more });
const time = `make_timestamptz(${noonUs}) AS "time"`;
const device = "'a' AS device";

/** Bytes of shipment 2, and what the reason must say. */
const broken: [name: string, bytes: () => Promise<Uint8Array>, reason: RegExp][] = [
  ['no bytes', () => Promise.resolve(new Uint8Array()), /cannot be read/],
  ['not Parquet', () => Promise.resolve(Buffer.from('temperature,20.5\n'.repeat(9))), /cannot be read/],
  ['cut off', async () => (await whole(good)).subarray(0, 300), /cannot be read/],
  [
    'damaged in the middle',
    async () => (await whole({ rows: manyRows })).fill(0xff, 4, 60),
    /cannot be read/,
  ],
  [
    'no metadata',
    async () => (await whole(good)).fill('x', ...(await spanOf('varve.contract'))),
    /varve.contract/,
  ],
  [
    'a later contract',
    async () => (await whole({ ...good, lies: {} })).fill('9', ...(await spanOf('varve.contract', 1))),
    /contract/,
  ],
  ['metadata of another agent', () => whole({ ...good, lies: { agent: 'other' } }), /agent "other"/],
  ['metadata of another table', () => whole({ ...good, lies: { table: 'power' } }), /table "power"/],
  ['metadata of another shipment', () => whole({ ...good, lies: { seq: 7 } }), /seq "7"/],
  ['a wrong number of rows', () => whole({ ...good, lies: { rowCount: 5 } }), /says 5 rows, the file has 1/],
  ['no time', () => select(`${device}, 1.0 AS v`), /no column "time"/],
  [
    'a time in milliseconds',
    () => select(`make_timestamp_ms(1)::TIMESTAMP_MS AS "time", ${device}`),
    /not a timestamp/,
  ],
  ['a time without a zone', () => select(`make_timestamp(1) AS "time", ${device}`), /not a timestamp/],
  ['a time that is a number', () => select(`1 AS "time", ${device}`), /not a timestamp/],
  ['a row without a time', () => select(`NULL::TIMESTAMPTZ AS "time", ${device}`), /1 rows have no time/],
  ['an infinite time', () => select(`'infinity'::TIMESTAMPTZ AS "time", ${device}`), /before the year 1684/],
  [
    'a time in the year 3000',
    () => select(`'3000-01-01 00:00:00+00'::TIMESTAMPTZ AS "time", ${device}`),
    /after 2255/,
  ],
  ['an integer of 32 bits', () => select(`${time}, ${device}, 1::INTEGER AS v`), /"v" has type INTEGER/],
  ['a list', () => select(`${time}, ${device}, [1.0, 2.0] AS v`), /nested/],
  ['bytes', () => select(`${time}, ${device}, 'x'::BLOB AS v`), /"v" has type BLOB/],
  ['a name with capitals', () => select(`${time}, ${device}, 1.0 AS "Temp"`), /"Temp" is not a valid name/],
  ['a name of ours', () => select(`${time}, ${device}, 1.0 AS "@order"`), /"@order" is not a valid name/],
  ['a day', () => select(`${time}, ${device}, DATE '2026-03-01' AS day`), /"day" is not a valid name/],
  ['a tag that is not there', () => select(`${time}, 1.0::DOUBLE AS v`), /tag "device" is not a column/],
  ['a tag that is a number', () => select(`${time}, 1.0::DOUBLE AS device`), /tag "device" is not a column/],
];
const manyRows = Array.from({ length: 500 }, (_, index) => ({
  time: noonUs + index,
  device: 'a',
  v: Math.sin(index),
}));

/** Where a metadata key, or with `valueBytes` the value after it, lies in the file of `good`. */
async function spanOf(key: string, valueBytes?: number): Promise<[number, number]> {
  const at = (await whole(good)).indexOf(key);
  // Thrift: the key, then a byte for the field and one for the length of the value.
  return valueBytes === undefined ? [at, at + 5] : [at + key.length + 2, at + key.length + 2 + valueBytes];
}

describe('a shipment that breaks the contract goes into quarantine, the others go on', () => {
  for (const [name, bytes, reason] of broken)
    test(name, async () => {
      const content = await bytes();
      await lake.ship(good);
      await lake.store.put(keyOf(2), content);
      await lake.ship({ seq: 3, rows: [{ time: noonUs + 1, device: 'a', v: 3 }] });
      const ingester = await lake.openIngester();
      const report = await ingester.runOnce();
      assert.deepEqual(report.failures, []);
      assert.equal(report.quarantined, 1);
      const kept = keyOf(2).replace('inbox/', 'quarantine/');
      assert.deepEqual(await lake.keys('quarantine/'), [kept, `${kept}.reason.json`]);
      assert.deepEqual(Buffer.from(await lake.store.get(kept)), Buffer.from(content));
      const note = JSON.parse(Buffer.from(await lake.store.get(`${kept}.reason.json`)).toString()) as Record<
        string,
        unknown
      >;
      assert.match(String(note['reason']), reason);
      assert.deepEqual(
        [note['key'], note['code'], note['bytes']],
        [keyOf(2), 'shipment_invalid', content.length],
      );
      assert.deepEqual(await lake.keys('inbox/'), []);
      assert.equal((await lake.readTable()).length, 2, 'rows of 1 and 3, in the same round');
      assert.equal((await lake.snapshot()).transactions.get('edge/press-hall-3/e1/data'), 3);
    });
});

test('a lane goes on past what is in quarantine, in later rounds too', async () => {
  const ingester = await lake.openIngester();
  await lake.ship(good);
  for (const seq of [2, 3]) await lake.store.put(keyOf(seq), Buffer.from('broken'));
  await ingester.runOnce();
  assert.equal((await lake.snapshot()).transactions.get('edge/press-hall-3/e1/data'), 1);
  await lake.ship({ seq: 4, rows: [{ time: noonUs, device: 'b', v: 4 }] });
  await ingester.runOnce();
  assert.equal((await lake.snapshot()).transactions.get('edge/press-hall-3/e1/data'), 4);
  assert.deepEqual(ingester.status().gaps, []);
  assert.equal(ingester.status().quarantined, 2);
});

test('what went into quarantine is not looked at again when the commit is planned anew', async () => {
  await lake.ship(good);
  const ingester = await lake.openIngester();
  await ingester.runOnce();
  await lake.store.put(keyOf(2), Buffer.from('broken'));
  await lake.ship({ seq: 3, rows: [{ time: noonUs + 1, device: 'a', v: 3 }] });
  const commitKey = deltaCommitKey({ database: 'main', table: 'climate' }, 1);
  lake.store.faults.before = async (operation, key) => {
    if (operation !== 'putIfAbsent' || key !== commitKey) return;
    lake.store.faults.before = undefined;
    await lake.store.putIfAbsent(commitKey, Buffer.from('{"commitInfo":{"operation":"of somebody else"}}'));
  };
  const report = await ingester.runOnce();
  assert.deepEqual(report.failures, []);
  assert.equal(report.quarantined, 1);
  const { version, transactions } = await lake.snapshot();
  assert.deepEqual([version, transactions.get('edge/press-hall-3/e1/data')], [2, 3]);
});

test('a first shipment that is broken creates no table', async () => {
  await lake.store.put(keyOf(1), Buffer.from('broken'));
  const ingester = await lake.openIngester();
  assert.deepEqual((await ingester.runOnce()).failures, []);
  assert.deepEqual(await lake.keys('tables/'), []);
});

test('shipments beyond the limits are refused by name', async () => {
  const ingester = await lake.openIngester({ shipmentBytesMax: 2_000, shipmentRowsMax: 3 });
  const rows = Array.from({ length: 4 }, (_, index) => ({ time: noonUs + index, device: 'a', v: 1 }));
  await lake.ship({ rows });
  await lake.ship({ seq: 2, rows: manyRows });
  await ingester.runOnce();
  const reasons: string[] = [];
  for (const key of await lake.keys('quarantine/'))
    if (key.endsWith('.json')) reasons.push(Buffer.from(await lake.store.get(key)).toString());
  assert.match(reasons[0] ?? '', /has 4 rows, more than 3/);
  assert.match(reasons[1] ?? '', /bytes, more than 2000/);
});

test('objects with keys of nobody are put aside too', async () => {
  await lake.store.put('inbox/readme.txt', Buffer.from('hello'));
  await lake.ship(good);
  const ingester = await lake.openIngester();
  const report = await ingester.runOnce();
  assert.equal(report.quarantined, 1);
  assert.deepEqual(await lake.keys('inbox/'), []);
  assert.deepEqual(await lake.keys('quarantine/'), [
    'quarantine/readme.txt',
    'quarantine/readme.txt.reason.json',
  ]);
  assert.equal((await lake.readTable()).length, 1);
});
