import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { deltaCommitKey } from '@varve/common/contract/object-keys.js';
import { Registry } from '@varve/common/metrics.js';
import { noonUs, TestLake } from './lake.test.fixture.js';

const climate = { database: 'main', table: 'climate' };
const dayUs = 86_400_000_000;

let lake: TestLake;
beforeEach(async () => void (lake = await TestLake.open()));
afterEach(async () => lake.close());

test('shipments become a table, and the inbox is empty', async () => {
  await lake.ship({
    rows: [
      { time: noonUs + 5, device: 'b', v: 2 },
      { time: noonUs, device: 'a', v: 1.5 },
    ],
  });
  await lake.ship({ seq: 2, rows: [{ time: noonUs + dayUs, device: 'a', v: 3 }] });
  const ingester = await lake.openIngester();
  const report = await lake.runClean(ingester);
  assert.equal(report.waiting, 2);
  assert.deepEqual(await lake.rowsText(), ['0 a 1.5', '5 b 2', `${dayUs} a 3`]);
  assert.deepEqual(await lake.keys('inbox/'), []);
  const { version, files, transactions } = await lake.snapshot();
  assert.equal(version, 0);
  assert.deepEqual([...transactions], [['edge/press-hall-3/e1/data', 2]]);
  assert.deepEqual(
    [...files.values()].map(({ day, rowCount, minTimeUs, maxTimeUs }) => ({
      day,
      rowCount,
      minTimeUs,
      maxTimeUs,
    })),
    [
      { day: '2026-03-01', rowCount: 2, minTimeUs: noonUs, maxTimeUs: noonUs + 5 },
      { day: '2026-03-02', rowCount: 1, minTimeUs: noonUs + dayUs, maxTimeUs: noonUs + dayUs },
    ],
  );
});

test('every table has its turn, and all are counted', async () => {
  for (const table of ['climate', 'power', 'water'])
    await lake.ship({ table, rows: [{ time: noonUs, device: 'a', v: 1 }] });
  const registry = new Registry();
  const ingester = await lake.openIngester({}, { registry });
  await lake.runClean(ingester);
  assert.deepEqual(
    ingester
      .status()
      .tables.map(({ table }) => table)
      .sort(),
    ['climate', 'power', 'water'],
  );
  const text = await registry.metrics();
  for (const line of [
    'varve_tsdb_shipments_committed_total 3',
    'varve_tsdb_rows_committed_total 3',
    'varve_tsdb_commit_seconds_count 3',
    'varve_tsdb_inbox_waiting 3',
    'varve_tsdb_quarantined_total 0',
    'varve_tsdb_lane_gaps 0',
  ])
    assert.ok(text.includes(`${line}\n`), line);
});

test('an empty shipment moves its lane and creates its table', async () => {
  await lake.ship({ rows: [] });
  const ingester = await lake.openIngester();
  await lake.runClean(ingester);
  const { files, transactions } = await lake.snapshot();
  assert.equal(files.size, 0);
  assert.equal(transactions.get('edge/press-hall-3/e1/data'), 1);
  assert.equal(await lake.columnsText(), 'device:tag v:double');
});

test('a lane waits at a gap, which is reported, until the missing shipment comes', async () => {
  await lake.ship({ seq: 2, rows: [{ time: noonUs, device: 'a', v: 2 }] });
  await lake.ship({ agent: 'other', rows: [{ time: noonUs, device: 'b', v: 1 }] });
  const ingester = await lake.openIngester();
  await lake.runClean(ingester);
  const [gap] = ingester.status().gaps;
  assert.deepEqual([gap?.agent, gap?.awaitedSeq, gap?.firstWaitingSeq], ['press-hall-3', 1, 2]);
  await lake.runClean(ingester);
  assert.equal(ingester.status().gaps[0]?.sinceMs, gap?.sinceMs);
  await lake.ship({ seq: 1, rows: [{ time: noonUs, device: 'a', v: 1 }] });
  await lake.runClean(ingester);
  assert.deepEqual(ingester.status().gaps, []);
  assert.deepEqual(await lake.rowsText(), ['0 a 2', '0 b 1']);
});

test('a gap is forgotten when nothing waits behind it any more', async () => {
  const key = await lake.ship({ seq: 2, rows: [] });
  const ingester = await lake.openIngester();
  await lake.runClean(ingester);
  assert.equal(ingester.status().gaps.length, 1);
  await lake.store.delete([key]);
  await lake.runClean(ingester);
  assert.deepEqual(ingester.status().gaps, []);
});

test('a shipment that comes again after it was committed changes nothing', async () => {
  const shipment = { rows: [{ time: noonUs, device: 'a', v: 1 }] };
  await lake.ship(shipment);
  const ingester = await lake.openIngester();
  await lake.runClean(ingester);
  await lake.ship(shipment);
  await lake.runClean(ingester);
  assert.deepEqual(await lake.rowsText(), ['0 a 1']);
  assert.equal((await lake.snapshot()).version, 0);
  assert.deepEqual(await lake.keys('inbox/'), []);
});

test('a shipment that vanishes after the listing stops its lane, and no other', async () => {
  for (const seq of [1, 2, 3]) await lake.ship({ seq, rows: [{ time: noonUs + seq, device: 'a', v: seq }] });
  await lake.ship({ agent: 'other', rows: [{ time: noonUs, device: 'b', v: 1 }] });
  lake.store.faults.before = async (operation, key) => {
    if (operation !== 'download' || !key.endsWith('2.parquet')) return;
    lake.store.faults.before = undefined;
    await lake.store.delete([key]);
  };
  const ingester = await lake.openIngester();
  await lake.runClean(ingester);
  assert.deepEqual(await lake.rowsText(), ['0 b 1', '1 a 1']);
  assert.equal((await lake.keys('inbox/')).length, 1, 'number 3 waits');
  assert.deepEqual(await lake.keys('quarantine/'), []);
});

test('what is more than one commit takes goes in several', async () => {
  for (let seq = 1; seq <= 5; seq += 1)
    await lake.ship({ seq, rows: [{ time: noonUs + seq, device: 'a', v: seq }] });
  const ingester = await lake.openIngester({ commitFilesMax: 2 });
  const more: boolean[] = [];
  for (let round = 1; round <= 3; round += 1) more.push((await lake.runClean(ingester)).hasMore);
  assert.deepEqual(more, [true, true, false]);
  assert.equal((await lake.readTable()).length, 5);
  assert.equal((await lake.snapshot()).version, 2);
});

test('rows newer than all others are appended without reading a file, late ones rewrite only what they meet', async () => {
  const ingester = await lake.openIngester();
  for (const [index, device] of ['a', 'b', 'c'].entries()) {
    const rows = [0, 10_000].map((us) => ({ time: noonUs + us + index, device, v: 1 }));
    await lake.ship({ seq: index + 1, rows });
    await lake.runClean(ingester);
  }
  const before = [...(await lake.snapshot()).files.keys()];
  await lake.ship({
    seq: 4,
    rows: [
      { time: noonUs + 1, device: 'b', v: 2 },
      { time: noonUs + 3, device: 'a', v: 3 },
    ],
  });
  await lake.runClean(ingester);
  const after = [...(await lake.snapshot()).files.keys()];
  assert.deepEqual(after.slice(0, 2), [before[0], before[2]], 'only the file of b is rewritten');
  assert.equal(after.length, 3);
  assert.deepEqual(await lake.rowsText(), [
    '0 a 1',
    '1 b 2',
    '2 c 1',
    '3 a 3',
    '10000 a 1',
    '10001 b 1',
    '10002 c 1',
  ]);
  const infos: string[] = [];
  for (const version of [0, 1, 3]) {
    const text = Buffer.from(await lake.store.get(deltaCommitKey(climate, version))).toString();
    const { commitInfo } = JSON.parse(text.split('\n')[0] ?? '') as { commitInfo: Record<string, unknown> };
    infos.push(`${String(commitInfo['operation'])} ${String(commitInfo['isBlindAppend'])}`);
  }
  assert.deepEqual(infos, ['STREAMING UPDATE true', 'STREAMING UPDATE true', 'MERGE false']);
});
