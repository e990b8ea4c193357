import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import {
  dataFileKey,
  deltaCheckpointKey,
  deltaCommitKey,
  formatInboxKey,
  lastCheckpointKey,
  probeKey,
} from '@varve/common/contract/object-keys.js';
import { silentLogger } from '@varve/common/log.js';
import { openStore } from '@varve/common/store/open-store.js';
import type { Store } from '@varve/common/store/store.js';
import { ourProtocol, type Action } from '../delta/actions.js';
import { DeltaCatalog } from '../delta/catalog.js';
import { writeCheckpoint } from '../delta/checkpoint-writer.js';
import { writeDataFile } from '../delta/data-file-writer.js';
import { DeltaLog } from '../delta/delta-log.js';
import { DuckDb } from '../delta/duckdb.js';
import { addAction } from '../delta/file-actions.js';
import { createMetaData } from '../delta/table-metadata.js';
import { runDoctor } from './doctor.js';

const name = { database: 'main', table: 'climate' };
const columns = { tags: [{ name: 'device' }], fields: [{ name: 'v', type: 'double' as const }] };
const day = '2026-11-20';
let folder: string;
let store: Store;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-doctor-'));
  store = await openStore(
    { url: join(folder, 'lake'), pathStyle: false },
    { access: 'full', probeKey, clock: systemClock },
  );
  const duckDb = new DuckDb({ tempDir: folder, memoryBytesMax: 2 ** 28, tempBytesMax: 2 ** 30, threads: 1 });
  const log = new DeltaLog(store, systemClock);
  const metaData = createMetaData(name, { columns }, 0);
  for (const version of [0, 1, 2, 3]) {
    const rows = `(SELECT make_timestamptz(1795132800000000 + i) AS "time", 'd' || i AS device, i / 2 AS v FROM range(5) AS r(i))`;
    const local = join(folder, `${version}.parquet`);
    const written = await duckDb.withSession((session) => writeDataFile(session, rows, columns, local));
    const path = `day=${day}/part-${version}.parquet`;
    await store.put(dataFileKey(name, path), { path: local });
    const created: Action[] = version === 0 ? [{ protocol: ourProtocol }, { metaData }] : [];
    const added = addAction({ ...written, path, day }, { nowMs: 0, dataChange: true });
    const txn: Action = { txn: { appId: 'edge/a/e/data', version: version + 1 } };
    await log.commit(name, version, summary, [...created, txn, added]);
  }
  await duckDb.close();
});

afterEach(async () => {
  store.close();
  await rm(folder, { recursive: true });
});

const summary = {
  operation: 'STREAMING UPDATE' as const,
  operationParameters: {},
  operationMetrics: {},
  isBlindAppend: true,
};

const examine = async (options: { repair?: boolean; json?: boolean } = {}) =>
  await runDoctor(
    { store: { url: join(folder, 'lake'), pathStyle: false } },
    { repair: false, json: false, sample: 10, ...options },
  );

async function checkpoint(): Promise<void> {
  const catalog = new DeltaCatalog(store, systemClock, silentLogger());
  const state = await catalog.refreshTable(name);
  assert(state);
  await writeCheckpoint({ store, files: catalog.checkpointFiles, state, nowMs: systemClock.nowMs() });
  await catalog.close();
}

test('nothing is wrong with a table as we write it', async () => {
  await checkpoint();
  assert.deepEqual(await examine(), { text: '1 tables, nothing wrong\n', isHealthy: true });
});

test('objects that are missing, of another size, or not what the statistics say are named', async () => {
  const keyOf = (version: number) => dataFileKey(name, `day=${day}/part-${version}.parquet`);
  await store.delete([keyOf(0)]);
  await store.put(keyOf(1), (await store.get(keyOf(1))).slice(1));
  const text = Buffer.from(await store.get(deltaCommitKey(name, 2))).toString();
  const lies = text
    .replace('\\"numRecords\\":5', '\\"numRecords\\":6')
    .replace('\\"maxValues\\":{', '\\"maxValues\\":{\\"x\\":1,')
    .replace('\\"device\\":\\"d4\\"', '\\"device\\":\\"d3\\"')
    .replace('\\"v\\":2.0', '\\"v\\":1.0');
  assert.notEqual(lies, text);
  await store.put(deltaCommitKey(name, 2), Buffer.from(lies));
  const { text: report, isHealthy } = await examine();
  assert.equal(isHealthy, false);
  assert.match(report, /part-0\.parquet is missing: 5 rows of 2026-11-20\n {2}→ restore/);
  assert.match(report, /part-1\.parquet has \d+ bytes, by the log \d+/);
  assert.match(report, /part-1\.parquet: .*cannot be read/);
  assert.match(report, /part-2\.parquet: has 5 rows, by the log it has 6/);
  assert.match(report, /part-2\.parquet: device goes up to d4, by the log to d3/);
  assert.match(report, /part-2\.parquet: v goes up to 2, by the log to 1/);
  assert.match(report, /1 tables, \d problems\n$/);
});

test('a torn checkpoint and a hint to nothing are mended, and the table stays what it is', async () => {
  await checkpoint();
  await store.put(deltaCheckpointKey(name, 3), Buffer.from('torn'));
  const { text } = await examine();
  assert.match(text, /checkpoint .* cannot be read/);
  assert.match(text, /_last_checkpoint names version 3/);
  const repaired = await examine({ repair: true });
  assert.deepEqual([repaired.isHealthy, /mended/.test(repaired.text)], [true, true]);
  assert.equal(await store.head(lastCheckpointKey(name)), undefined);
  assert.equal(await store.head(deltaCheckpointKey(name, 3)), undefined);
  assert.equal((await examine()).isHealthy, true);
});

test('a version that is missing is named with what follows from it', async () => {
  await store.delete([deltaCommitKey(name, 1)]);
  const { text } = await examine();
  assert.match(text, /versions 1 to 1 are missing from the log\n {2}→ restore their files/);
});

test('what waits in the inbox, gaps of lanes and quarantine are told, with since when', async () => {
  const lane = { agent: 'a', epoch: 'e', lane: 'data', ...name };
  await store.put(formatInboxKey({ ...lane, seq: 7 }), new Uint8Array());
  await store.put(formatInboxKey({ ...lane, seq: 8 }), new Uint8Array());
  await store.put('quarantine/a/e/data/main/climate/000000000003.parquet', new Uint8Array(10));
  const { text } = await examine();
  assert.match(
    text,
    /edge\/a\/e\/data waits for shipment 5 since \d{4}-\S+ \(0 min\); 2 wait behind it, from 7/,
  );
  assert.match(
    text,
    /quarantine: 1 shipments \(0\.0 MB\).*\n {2}→ read quarantine.*3\.parquet\.reason\.json/,
  );
  const { problems } = JSON.parse((await examine({ json: true })).text) as { problems: { kind: string }[] };
  assert.deepEqual(
    problems.map(({ kind }) => kind),
    ['inbox', 'quarantine'],
  );
});
