import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { noonUs, TestLake, type Value } from './lake.test.fixture.js';

let lake: TestLake;
beforeEach(async () => void (lake = await TestLake.open()));
afterEach(async () => lake.close());

let seq = 0;

/** The values stand a microsecond apart, from noon on; undefined leaves one out. */
async function ship(
  values: readonly (Value | undefined)[],
  more: object = { decimals: { v: 2 } },
): Promise<void> {
  const rows = values.flatMap((v, index) =>
    v === undefined ? [] : [{ time: noonUs + index, device: 'a', v }],
  );
  await lake.ship({ seq: ++seq, rows, ...more });
}

async function shown(): Promise<unknown[]> {
  return (await lake.readShown()).map(({ v }) => v);
}

beforeEach(() => void (seq = 0));

test('a field with a declared resolution is stored as decimals, and is the same doubles again', async () => {
  const values = [21.37, -0.01, 1234567.89, 0, null, 99.99];
  await ship(values);
  await lake.runClean(await lake.openIngester());
  assert.equal(await lake.columnsText(), 'device:tag v:DECIMAL(18, 2)');
  assert.deepEqual(await shown(), values);
  const [add] = [...(await lake.snapshot()).files.values()];
  assert.equal(add?.rowCount, values.length);
});

test('statistics of decimals have all their digits, as numbers', async () => {
  await ship([21.37, -0.01, 1234567.8]);
  await lake.runClean(await lake.openIngester());
  const log = Buffer.from(await lake.store.get('tables/main/climate/_delta_log/00000000000000000000.json'));
  assert.match(log.toString(), /\\"minValues\\":{[^}]*\\"v\\":-0.01}/);
  assert.match(log.toString(), /\\"maxValues\\":{[^}]*\\"v\\":1234567.80}/);
  assert.match(log.toString(), /\\"type\\":\\"decimal\(18,2\)\\"/);
});

test('what does not fit stands beside, as it is: nothing is rounded and nothing dropped', async () => {
  const values = [
    21.37,
    0.1 + 0.2,
    1e17,
    21.375,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    1e-300,
    null,
  ];
  await ship(values);
  await lake.runClean(await lake.openIngester());
  assert.equal(await lake.columnsText(), 'device:tag v:DECIMAL(18, 2) v__double:double');
  assert.deepEqual(await shown(), values);
  const [row] = await lake.query(
    [...(await lake.snapshot()).files.values()],
    'SELECT count(v) AS inside, count(v__double) AS beside FROM files',
  );
  assert.deepEqual(row, { inside: 1n, beside: 7n });
});

test('a later write wins across both columns, whichever of them it goes to', async () => {
  const ingester = await lake.openIngester();
  await ship([1.25, 1.333, 2.25, 2.333]);
  await lake.runClean(ingester);
  await ship([7.777, 8.25, undefined, undefined]);
  // Twice in one commit.
  await ship([undefined, undefined, 3.333, 4.444]);
  await ship([undefined, undefined, 4.25, null]);
  await lake.runClean(ingester);
  assert.deepEqual(await shown(), [7.777, 8.25, 4.25, 4.444]);
  for (const { v, v__double } of await lake.readTable()) assert.ok(v === null || v__double === null);
});

test('a stream without a declared resolution writes into the same column, and so does one with integers', async () => {
  const ingester = await lake.openIngester();
  await ship([1.25]);
  await lake.runClean(ingester);
  await ship([undefined, 1.5, 1.333], {});
  await ship([undefined, undefined, undefined, 7], { types: { v: 'long' } });
  await lake.runClean(ingester);
  assert.equal(await lake.columnsText(), 'device:tag v:DECIMAL(18, 2) v__double:double');
  assert.deepEqual(await shown(), [1.25, 1.5, 1.333, 7]);
});

test('a column that holds doubles stays one when a resolution is declared later', async () => {
  const ingester = await lake.openIngester();
  await ship([1.25], {});
  await lake.runClean(ingester);
  await ship([undefined, 1.5]);
  await lake.runClean(ingester);
  assert.equal(await lake.columnsText(), 'device:tag v:double');
  assert.deepEqual(await shown(), [1.25, 1.5]);
});

test('a long column with doubles beside it is one column of doubles', async () => {
  const ingester = await lake.openIngester();
  await ship([20, 21, 22], { types: { v: 'long' } });
  await lake.runClean(ingester);
  await ship([undefined, 21.5, null, 3.5], {});
  await lake.runClean(ingester);
  await ship([undefined, undefined, undefined, 4], { types: { v: 'long' } });
  await lake.runClean(ingester);
  assert.equal(await lake.columnsText(), 'device:tag v:long v__double:double');
  assert.deepEqual(await shown(), [20, 21.5, 22, 4]);
});

test('a field that a sensor calls like a side column has a column of its own', async () => {
  const row = { time: noonUs, device: 'a' };
  await lake.ship({
    types: { v: 'double', v__double: 'double' },
    decimals: { v: 1 },
    rows: [{ ...row, v: 0.25, v__double: 3 }],
  });
  await lake.runClean(await lake.openIngester());
  assert.deepEqual(
    (await lake.readShown()).map(({ v, v__double }) => [v, v__double]),
    [[0.25, 3]],
  );
});

test('a shipment may bring its decimals as decimals', async () => {
  const select = `SELECT make_timestamptz(${noonUs}::BIGINT) AS time, 'a' AS device, 21.37::DECIMAL(18, 2) AS v`;
  await lake.ship({ rows: [{ time: noonUs }], select, decimals: { v: 2 } });
  await lake.runClean(await lake.openIngester());
  assert.equal(await lake.columnsText(), 'device:tag v:DECIMAL(18, 2)');
  assert.deepEqual(await shown(), [21.37]);
});
