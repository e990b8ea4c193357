import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '@varve/common/clock.js';
import { deltaCommitKey } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import { noonUs, TestLake } from './lake.test.fixture.js';

const climate = { database: 'main', table: 'climate' };

let lake: TestLake;
beforeEach(async () => void (lake = await TestLake.open()));
afterEach(async () => lake.close());

test('a store that fails is met again, and the loop goes on', async () => {
  await lake.ship({ rows: [{ time: noonUs, device: 'a', v: 1 }] });
  let failuresLeft = 3;
  lake.store.faults.before = () => {
    if (failuresLeft-- > 0) throw new Failure('store_unavailable', 'no route');
  };
  const ingester = await lake.openIngester();
  const stop = new AbortController();
  const running = ingester.run(stop.signal);
  const deadlineMs = systemClock.monotonicMs() + 10_000;
  while (ingester.status().tables.length === 0 && systemClock.monotonicMs() < deadlineMs)
    await setImmediate();
  stop.abort();
  await running;
  assert.deepEqual(await lake.rowsText(), ['0 a 1']);
  assert.match(ingester.status().lastError?.message ?? '', /no route/);
  assert.deepEqual(ingester.status().troubles, []);
});

test('a table that cannot be read stops no other', async () => {
  await lake.store.put(deltaCommitKey(climate, 0), Buffer.from('not a commit'));
  await lake.ship({ rows: [{ time: noonUs, device: 'a', v: 1 }] });
  await lake.ship({ table: 'power', rows: [{ time: noonUs, device: 'a', v: 1 }] });
  const ingester = await lake.openIngester();
  const report = await ingester.runOnce();
  assert.deepEqual(
    report.failures.map(({ name }) => name),
    ['main.climate'],
  );
  assert.deepEqual(
    ingester.status().troubles.map(({ name, code }) => `${name} ${code ?? ''}`),
    ['main.climate table_unreadable'],
  );
  assert.equal((await lake.readTable('power')).length, 1);
  assert.equal((await lake.keys('inbox/')).length, 1);
});

test('a table that asks for more than we may write is left alone', async () => {
  await lake.ship({ rows: [{ time: noonUs, device: 'a', v: 1 }] });
  await lake.runClean(await lake.openIngester());
  const raised = { protocol: { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['rowTracking'] } };
  await lake.store.put(deltaCommitKey(climate, 1), Buffer.from(JSON.stringify(raised)));
  await lake.ship({ seq: 2, rows: [{ time: noonUs, device: 'a', v: 2 }] });
  const { failures } = await (await lake.openIngester()).runOnce();
  assert.match(String(failures[0]?.error), /rowTracking/);
  assert.deepEqual(await lake.rowsText(), ['0 a 1']);
});

test('data_dir may vanish at any time: nothing is blamed on a shipment', async () => {
  await lake.ship({ rows: [{ time: noonUs, device: 'a', v: 1 }] });
  const dataDir = `${lake.dir}/data`;
  const download = lake.store.download.bind(lake.store);
  lake.store.download = async (key, path) => {
    const bytes = await download(key, path);
    await rm(dataDir, { recursive: true });
    lake.store.download = download;
    return bytes;
  };
  const ingester = await lake.openIngester({}, { dataDir });
  const { failures } = await ingester.runOnce();
  assert.deepEqual(
    failures.map(({ error }) => (error as Failure).code),
    ['data_dir_unusable'],
  );
  assert.deepEqual(await lake.keys('quarantine/'), []);
  await systemClock.sleep(5);
  await lake.runClean(ingester);
  assert.deepEqual(await lake.rowsText(), ['0 a 1']);
  assert.ok(existsSync(dataDir));
});
