import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '@varve/common/clock.js';
import { deltaCommitKey } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { DeltaCatalog } from '../delta/catalog.js';
import type { Ingester } from './ingester.js';
import { openIngester } from './ingester.js';
import { DownloadedFiles, noonUs, TestLake } from './lake.test.fixture.js';

const climate = { database: 'main', table: 'climate' };
const dayUs = 86_400_000_000;

let lake: TestLake;
beforeEach(async () => void (lake = await TestLake.open()));
afterEach(async () => lake.close());

async function runClean(ingester: Ingester) {
  const report = await ingester.runOnce();
  assert.deepEqual(report.failures, []);
  return report;
}

async function columnsText(): Promise<string> {
  const { tags, fields } = (await lake.snapshot()).columns;
  return [
    ...tags.map(({ name }) => `${name}:tag`),
    ...fields.map(({ name, type }) => `${name}:${type}`),
  ].join(' ');
}

/** The table's rows as text: time in microseconds after noon, then every other column but day. */
async function rowsText(): Promise<string[]> {
  return (await lake.readTable()).map((row) => {
    const { time, ...values } = row;
    const shown = Object.entries(values).filter(([name]) => name !== 'day');
    return [Number(time) - noonUs, ...shown.map(([, value]) => String(value))].join(' ');
  });
}

test('shipments become a table, and the inbox is empty', async () => {
  await lake.ship({
    rows: [
      { time: noonUs + 5, device: 'b', v: 2 },
      { time: noonUs, device: 'a', v: 1.5 },
    ],
  });
  await lake.ship({ seq: 2, rows: [{ time: noonUs + dayUs, device: 'a', v: 3 }] });
  const ingester = await lake.openIngester();
  const report = await runClean(ingester);
  assert.equal(report.waiting, 2);
  assert.deepEqual(await rowsText(), ['0 a 1.5', '5 b 2', `${dayUs} a 3`]);
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
      { day: '2026-03-01', rowCount: 2, minTimeUs: noonUs, maxTimeUs: noonUs + 1_999 },
      { day: '2026-03-02', rowCount: 1, minTimeUs: noonUs + dayUs, maxTimeUs: noonUs + dayUs + 999 },
    ],
  );
});

test('every table has its turn, and all are counted', async () => {
  for (const table of ['climate', 'power', 'water'])
    await lake.ship({ table, rows: [{ time: noonUs, device: 'a', v: 1 }] });
  const registry = new Registry();
  const ingester = await openIngester({
    store: lake.store,
    catalog: new DeltaCatalog(lake.store, systemClock, silentLogger()),
    dataFiles: new DownloadedFiles(lake.store, lake.dir),
    dataDir: lake.dir,
    everyMs: 1,
    clock: systemClock,
    log: silentLogger(),
    registry,
  });
  await runClean(ingester);
  await ingester.close();
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
  await runClean(ingester);
  const { files, transactions } = await lake.snapshot();
  assert.equal(files.size, 0);
  assert.equal(transactions.get('edge/press-hall-3/e1/data'), 1);
  assert.equal(await columnsText(), 'device:tag v:double');
});

test('a lane waits at a gap, which is reported, until the missing shipment comes', async () => {
  await lake.ship({ seq: 2, rows: [{ time: noonUs, device: 'a', v: 2 }] });
  await lake.ship({ agent: 'other', rows: [{ time: noonUs, device: 'b', v: 1 }] });
  const ingester = await lake.openIngester();
  await runClean(ingester);
  const [gap] = ingester.status().gaps;
  assert.deepEqual([gap?.agent, gap?.awaitedSeq, gap?.firstWaitingSeq], ['press-hall-3', 1, 2]);
  await runClean(ingester);
  assert.equal(ingester.status().gaps[0]?.sinceMs, gap?.sinceMs);
  await lake.ship({ seq: 1, rows: [{ time: noonUs, device: 'a', v: 1 }] });
  await runClean(ingester);
  assert.deepEqual(ingester.status().gaps, []);
  assert.deepEqual(await rowsText(), ['0 a 2', '0 b 1']);
});

test('a gap is forgotten when nothing waits behind it any more', async () => {
  const key = await lake.ship({ seq: 2, rows: [] });
  const ingester = await lake.openIngester();
  await runClean(ingester);
  assert.equal(ingester.status().gaps.length, 1);
  await lake.store.delete([key]);
  await runClean(ingester);
  assert.deepEqual(ingester.status().gaps, []);
});

test('a shipment that comes again after it was committed changes nothing', async () => {
  const shipment = { rows: [{ time: noonUs, device: 'a', v: 1 }] };
  await lake.ship(shipment);
  const ingester = await lake.openIngester();
  await runClean(ingester);
  await lake.ship(shipment);
  await runClean(ingester);
  assert.deepEqual(await rowsText(), ['0 a 1']);
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
  await runClean(ingester);
  assert.deepEqual(await rowsText(), ['0 b 1', '1 a 1']);
  assert.equal((await lake.keys('inbox/')).length, 1, 'number 3 waits');
  assert.deepEqual(await lake.keys('quarantine/'), []);
});

test('what is more than one commit takes goes in several', async () => {
  for (let seq = 1; seq <= 5; seq += 1)
    await lake.ship({ seq, rows: [{ time: noonUs + seq, device: 'a', v: seq }] });
  const ingester = await lake.openIngester({ commitFilesMax: 2 });
  const more: boolean[] = [];
  for (let round = 1; round <= 3; round += 1) more.push((await runClean(ingester)).hasMore);
  assert.deepEqual(more, [true, true, false]);
  assert.equal((await lake.readTable()).length, 5);
  assert.equal((await lake.snapshot()).version, 2);
});

test('rows newer than all others are appended without reading a file, late ones rewrite only what they meet', async () => {
  const ingester = await lake.openIngester();
  for (const [index, device] of ['a', 'b', 'c'].entries()) {
    const rows = [0, 10_000].map((us) => ({ time: noonUs + us + index, device, v: 1 }));
    await lake.ship({ seq: index + 1, rows });
    await runClean(ingester);
  }
  const before = [...(await lake.snapshot()).files.keys()];
  await lake.ship({
    seq: 4,
    rows: [
      { time: noonUs + 1, device: 'b', v: 2 },
      { time: noonUs + 3, device: 'a', v: 3 },
    ],
  });
  await runClean(ingester);
  const after = [...(await lake.snapshot()).files.keys()];
  assert.deepEqual(after.slice(0, 2), [before[0], before[2]], 'only the file of b is rewritten');
  assert.equal(after.length, 3);
  assert.deepEqual(await rowsText(), [
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
  assert.deepEqual(infos, ['STREAMING UPDATE true', 'STREAMING UPDATE false', 'MERGE false']);
});

test('columns grow with what comes, and old rows have none of it', async () => {
  const ingester = await lake.openIngester();
  const row = { time: noonUs, device: 'a' };
  await lake.ship({ types: { v: 'long' }, rows: [{ ...row, v: 1 }] });
  await runClean(ingester);
  await lake.ship({
    seq: 2,
    tags: ['device', 'site'],
    types: { v: 'double', w: 'boolean' },
    rows: [{ ...row, site: 'x', v: 1.5, w: true }],
  });
  await lake.ship({ seq: 3, types: { v: 'string' }, rows: [{ ...row, v: 'broken' }] });
  await runClean(ingester);
  assert.equal(await columnsText(), 'device:tag site:tag v:long v__double:double v__string:string w:boolean');
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
  await runClean(ingester);
  assert.deepEqual(await rowsText(), ['0 a 0.5', '1 a 7']);
  assert.equal(await columnsText(), 'device:tag v:double');
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
    await runClean(ingester);
  }
  assert.deepEqual(await rowsText(), ['0 a 1 f 3 3 2 s']);
});

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
  assert.deepEqual(await rowsText(), ['0 a 1']);
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
  await runClean(await lake.openIngester());
  const raised = { protocol: { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['rowTracking'] } };
  await lake.store.put(deltaCommitKey(climate, 1), Buffer.from(JSON.stringify(raised)));
  await lake.ship({ seq: 2, rows: [{ time: noonUs, device: 'a', v: 2 }] });
  const { failures } = await (await lake.openIngester()).runOnce();
  assert.match(String(failures[0]?.error), /rowTracking/);
  assert.deepEqual(await rowsText(), ['0 a 1']);
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
  const ingester = await openIngester({
    store: lake.store,
    catalog: new DeltaCatalog(lake.store, systemClock, silentLogger()),
    dataFiles: new DownloadedFiles(lake.store, lake.dir),
    dataDir,
    everyMs: 1,
    clock: systemClock,
    log: silentLogger(),
    registry: new Registry(),
  });
  const { failures } = await ingester.runOnce();
  assert.deepEqual(
    failures.map(({ error }) => (error as Failure).code),
    ['data_dir_unusable'],
  );
  assert.deepEqual(await lake.keys('quarantine/'), []);
  await systemClock.sleep(5);
  await runClean(ingester);
  await ingester.close();
  assert.deepEqual(await rowsText(), ['0 a 1']);
  assert.ok(existsSync(dataDir));
});
