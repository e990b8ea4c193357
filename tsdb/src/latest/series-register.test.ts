import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { deltaCommitKey } from '@varve/common/contract/object-keys.js';
import type { Ingester } from '../ingest/ingester.js';
import { noonUs, TestLake, type ShipmentRow, type TestShipment } from '../ingest/lake.test.fixture.js';
import { openSeriesRegister } from './open-series-register.js';
import type { LatestRows } from './series.js';

let lake: TestLake;
let ingester: Ingester;
let dataDir: string;
let seq: number;

beforeEach(async () => {
  lake = await TestLake.open();
  dataDir = join(lake.dir, 'tsdb');
  ingester = await lake.openIngester({}, { dataDir });
  seq = 0;
});
afterEach(async () => lake.close());

async function commit(
  rows: readonly ShipmentRow[],
  more: Partial<TestShipment> = {},
  by = ingester,
): Promise<void> {
  await lake.ship({ seq: ++seq, rows, ...more });
  await lake.runClean(by);
}

/** `device@us field=value …`, in order. */
function toText(rows: LatestRows | undefined): string[] {
  assert.ok(rows);
  return [...rows.values()]
    .map(({ tags, timeUs, values }) => {
      const shown = Object.entries(values).map(([name, value]) => `${name}=${String(value)}`);
      return [`${tags['device'] ?? '-'}@${timeUs - noonUs}`, ...shown.sort()].join(' ');
    })
    .sort();
}

async function latest(by = ingester): Promise<string[]> {
  return toText(await lake.registerOf(by).latest(await lake.state()));
}

const row = (device: string | null, us: number, v: number | null) => ({ time: noonUs + us, device, v });

test('the newest row of every series, whatever order rows come in', async () => {
  await commit([row('a', 5, 1), row('a', 3, 2), row('b', 1, 3), row(null, 1, 4)]);
  await commit([row('a', 4, 9), row('b', 2, null)]);
  assert.deepEqual(await latest(), ['-@1 v=4', 'a@5 v=1', 'b@2']);
  // The same instant again: field by field, a null erases nothing.
  await commit([row('a', 5, null), row(null, 1, 5)]);
  assert.deepEqual(await latest(), ['-@1 v=5', 'a@5 v=1', 'b@2']);
});

test('a column and the double beside it are one value', async () => {
  await commit([row('a', 1, 1.25)], { decimals: { v: 2 } });
  await commit([row('a', 2, 1.333)], { decimals: { v: 2 } });
  assert.deepEqual(await latest(), ['a@2 v=1.333']);
  await commit([row('a', 2, 1.5)], { decimals: { v: 2 } });
  assert.deepEqual(await latest(), ['a@2 v=1.5']);
});

test('a table without tags has one series', async () => {
  await commit(
    [
      { time: noonUs, v: 1 },
      { time: noonUs + 1, v: 2 },
    ],
    { tags: [] },
  );
  assert.deepEqual(await latest(), ['-@1 v=2']);
});

test('right after a restart: from data_dir without a look at the lake, and without data_dir from the lake', async () => {
  await commit([row('a', 1, 1), row('b', 2, 2)]);
  await lake.closeRegisters();
  const restarted = await lake.openIngester({}, { dataDir });
  lake.acquired.length = 0;
  assert.deepEqual(await latest(restarted), ['a@1 v=1', 'b@2 v=2']);
  assert.deepEqual(lake.acquired, []);
  await lake.closeRegisters();
  await writeFile(join(dataDir, 'latest', 'main.climate'), 'torn');
  assert.deepEqual(await latest(await lake.openIngester({}, { dataDir })), ['a@1 v=1', 'b@2 v=2']);
  await rm(dataDir, { recursive: true });
  assert.deepEqual(await latest(await lake.openIngester({}, { dataDir })), ['a@1 v=1', 'b@2 v=2']);
});

test('what others commit is read from the log, and only the files that they added', async () => {
  await commit([row('a', 1, 1), row('b', 1, 1)]);
  const other = await lake.openIngester();
  await commit([row('a', 2, 5)], { agent: 'other', seq: 1 }, other);
  lake.acquired.length = 0;
  assert.deepEqual(await latest(), ['a@2 v=5', 'b@1 v=1']);
  assert.equal(lake.acquired.length, 1);
});

/** A commit as another program writes it. */
async function commitByHand(actions: readonly object[]): Promise<void> {
  const { version } = await lake.snapshot();
  const lines = actions.map((action) => JSON.stringify(action)).join('\n');
  await lake.store.putIfAbsent(
    deltaCommitKey({ database: 'main', table: 'climate' }, version + 1),
    Buffer.from(lines),
  );
}

test('a delete by anybody: the rows that are left', async () => {
  await commit([row('a', 1, 1)]);
  await commit([row('a', 2, 2)]);
  assert.deepEqual(await latest(), ['a@2 v=2']);
  const newest = [...(await lake.snapshot()).files.values()].find(
    ({ maxTimeUs }) => maxTimeUs === noonUs + 2,
  );
  await commitByHand([{ remove: { path: newest?.path, deletionTimestamp: 1, dataChange: true } }]);
  assert.deepEqual(await latest(), ['a@1 v=1']);
});

test('a file that was only moved about is not looked into', async () => {
  await commit([row('a', 1, 1)]);
  const [file] = (await lake.snapshot()).files.values();
  const add = {
    path: file?.path,
    partitionValues: { day: file?.day },
    size: file?.bytes,
    modificationTime: 1,
    dataChange: false,
  };
  await commitByHand([{ remove: { path: file?.path, deletionTimestamp: 1, dataChange: false } }, { add }]);
  lake.acquired.length = 0;
  assert.deepEqual(await latest(), ['a@1 v=1']);
  assert.deepEqual(lake.acquired, []);
});

test('a table with too many series has no register, and says so once', async () => {
  await commit([row('a', 1, 1), row('b', 1, 1), row('c', 1, 1)]);
  const { store } = lake;
  const { systemClock } = await import('@varve/common/clock.js');
  const { silentLogger } = await import('@varve/common/log.js');
  const { DownloadedFiles } = await import('../ingest/lake.test.fixture.js');
  const dataFiles = new DownloadedFiles(store, lake.dir);
  const small = openSeriesRegister({
    store,
    dataFiles,
    dataDir: join(lake.dir, 'small'),
    clock: systemClock,
    log: silentLogger(),
    seriesMax: 2,
  });
  assert.equal(await small.latest(await lake.state()), undefined);
  assert.equal(await small.marks(await lake.state()), undefined);
  await small.close();
});
