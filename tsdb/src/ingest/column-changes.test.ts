import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { noonUs, TestLake } from './lake.test.fixture.js';

let lake: TestLake;
beforeEach(async () => void (lake = await TestLake.open()));
afterEach(async () => lake.close());

test('columns grow with what comes, and old rows have none of it', async () => {
  const ingester = await lake.openIngester();
  const row = { time: noonUs, device: 'a' };
  await lake.ship({ types: { v: 'long' }, rows: [{ ...row, v: 1 }] });
  await lake.runClean(ingester);
  await lake.ship({
    seq: 2,
    tags: ['device', 'site'],
    types: { v: 'double', w: 'boolean' },
    rows: [{ ...row, site: 'x', v: 1.5, w: true }],
  });
  await lake.ship({ seq: 3, types: { v: 'string' }, rows: [{ ...row, v: 'broken' }] });
  await lake.runClean(ingester);
  assert.equal(
    await lake.columnsText(),
    'device:tag site:tag v:long v__double:double v__string:string w:boolean',
  );
  const rows = await lake.readTable();
  assert.deepEqual(
    rows.map(({ site, v, v__double, v__string, w }) => [site, v, v__double, v__string, w]),
    [
      ['x', null, 1.5, null, true],
      [null, 1n, null, 'broken', null],
    ],
  );
});

test('integers become doubles where the column has doubles', async () => {
  const ingester = await lake.openIngester();
  await lake.ship({ rows: [{ time: noonUs, device: 'a', v: 0.5 }] });
  await lake.ship({ seq: 2, types: { v: 'long' }, rows: [{ time: noonUs + 1, device: 'a', v: 7 }] });
  await lake.runClean(ingester);
  assert.deepEqual(await lake.rowsText(), ['0 a 0.5', '1 a 7']);
  assert.equal(await lake.columnsText(), 'device:tag v:double');
});

test('columns may have the names of what DuckDB calls its own', async () => {
  const types = {
    filename: 'string',
    file_row_number: 'long',
    rowid: 'long',
    incoming: 'double',
    order: 'double',
    shipped: 'string',
  } as const;
  const row = {
    time: noonUs,
    device: 'a',
    filename: 'f',
    file_row_number: 1,
    rowid: 2,
    incoming: 3,
    order: 4,
    shipped: 's',
  };
  const ingester = await lake.openIngester();
  for (const seq of [1, 2, 3]) {
    await lake.ship({
      seq,
      types,
      rows: [
        { ...row, rowid: seq },
        { ...row, order: seq },
      ],
    });
    await lake.runClean(ingester);
  }
  assert.deepEqual(await lake.rowsText(), ['0 a 1 f 3 3 2 s']);
});
