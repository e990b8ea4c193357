import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noonUs, TestLake } from './lake.test.fixture.js';

test('an empty shipment, as an agent sends it in place of one it lost, moves its lane on', async () => {
  const lake = await TestLake.open();
  const noRows = 'SELECT time FROM (SELECT now() AS time) WHERE false';
  await lake.ship({ seq: 1, rows: [{ time: noonUs, device: 'a', v: 1 }] });
  await lake.ship({ seq: 2, tags: [], rows: [], select: noRows, lies: { lostRows: 7 } });
  await lake.ship({ seq: 3, rows: [{ time: noonUs + 5, device: 'a', v: 3 }] });
  await lake.runClean(await lake.openIngester());
  assert.deepEqual(await lake.rowsText(), ['0 a 1', '5 a 3']);
  assert.deepEqual(await lake.keys('inbox/'), []);
  assert.deepEqual([...(await lake.snapshot()).transactions.values()], [3]);
  await lake.close();
});
