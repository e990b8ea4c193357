import { strict as assert } from 'node:assert';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import type { PlantedFaults } from '@varve/common/store/memory-store.js';
import { DeltaCatalog } from '../delta/catalog.js';
import type { DataFile } from '../delta/snapshot.js';
import { DownloadedFiles, noonUs, TestLake, type TestShipment } from '../ingest/lake.test.fixture.js';
import { JobBook } from '../jobs.js';
import { defaultCompactionPolicy } from './plan-compaction.js';
import { Upkeep } from './upkeep.js';

const policy = { ...defaultCompactionPolicy, filesMin: 4, targetBytes: 2 ** 20, settleMs: 1_000 };
const minuteUs = 60_000_000;

let lake: TestLake;
let nextSeq = 1;
before(openLake);
after(() => lake.close());

async function openLake(): Promise<void> {
  await (lake as TestLake | undefined)?.close();
  lake = await TestLake.open();
}

/** One commit with one file, of one row of each of two devices. */
async function commitMinute(minute: number, table: string): Promise<void> {
  const rows = ['a', 'b'].map((device) => ({ time: noonUs + minute * minuteUs, device, v: minute }));
  await lake.ship({ table, seq: minute + 1, rows });
  const ingester = await lake.openIngester();
  await lake.runClean(ingester);
}

async function openUpkeep(policyOfTest = policy): Promise<Upkeep> {
  const catalog = new DeltaCatalog(lake.store, systemClock, silentLogger());
  await catalog.refresh();
  return await Upkeep.open({
    ...{
      store: lake.store,
      catalog,
      policy: policyOfTest,
      clock: systemClock,
      log: silentLogger(),
      registry: new Registry(),
      jobs: new JobBook(systemClock),
      retainMsOf: () => undefined,
    },
    dataFiles: new DownloadedFiles(lake.store, lake.dir),
    dataDir: join(lake.dir, `compactor-${nextSeq++}`),
  });
}

async function compact(policyOfTest = policy): Promise<void> {
  const upkeep = await openUpkeep(policyOfTest);
  await upkeep.compactor.runOnce();
  await upkeep.close();
}

async function makeTable(table: string, minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) await commitMinute(minute, table);
}

/** In place of all that was planted before. */
function plant({ before: earlier, after: later }: PlantedFaults): void {
  Object.assign(lake.store.faults, { before: earlier, after: later });
}

const fileCount = async (table: string) => (await lake.snapshot(table)).files.size;

test('small files become one, the rows stay the same, and the log says that no data changed', async () => {
  await makeTable('merged', 6);
  const rows = await lake.readTable('merged');
  await compact();
  const { files, version } = await lake.snapshot('merged');
  assert.deepEqual(await lake.readTable('merged'), rows);
  // Five are settled; the newest is left alone.
  assert.deepEqual([...files.values()].map(({ rowCount }) => rowCount).sort(), [10, 2]);
  const key = `tables/main/merged/_delta_log/${String(version).padStart(20, '0')}.json`;
  const commit = Buffer.from(await lake.store.get(key)).toString();
  assert.match(commit, /"operation":"OPTIMIZE"/);
  assert.equal(commit.match(/"dataChange":false/g)?.length, 6);
  assert.doesNotMatch(commit, /"dataChange":true/);
});

test('goes on where somebody has deleted its folder', async () => {
  await makeTable('bereft', 6);
  const upkeep = await openUpkeep();
  await rm(join(lake.dir, `compactor-${nextSeq - 1}`), { recursive: true, force: true });
  await upkeep.compactor.runOnce();
  await upkeep.close();
  assert.equal(await fileCount('bereft'), 2);
});

test('somebody else commits meanwhile: only the put is tried again', async () => {
  await makeTable('raced', 6);
  let isFirst = true;
  plant({
    async before(operation, key) {
      if (operation !== 'putIfAbsent' || !key.includes('raced/_delta_log') || !isFirst) return;
      isFirst = false;
      await commitMinute(6, 'raced');
    },
  });
  await compact();
  plant({});
  assert.equal((await lake.readTable('raced')).length, 14);
  assert.equal(await fileCount('raced'), 3);
});

test('one of the files is replaced meanwhile: the job is dropped, and nothing is left of it', async () => {
  await makeTable('late', 6);
  let isFirst = true;
  plant({
    async before(operation, key) {
      if (operation !== 'putIfAbsent' || !key.includes('late/_delta_log') || !isFirst) return;
      isFirst = false;
      await lake.ship({ table: 'late', seq: 7, rows: [{ time: noonUs, device: 'a', v: 99 }] });
      await lake.runClean(await lake.openIngester());
    },
  });
  await compact();
  plant({});
  assert.equal(await fileCount('late'), 6);
  assert.equal((await lake.readTable('late')).length, 12);
  const live = new Set([...(await lake.snapshot('late')).files.values()].map(({ key }) => key));
  const stored = await lake.keys('tables/main/late/day=');
  // One that is not live: what the late row replaced.
  assert.equal(stored.filter((key) => !live.has(key)).length, 1);
});

const devices = ['a', 'b', 'c', 'd', null];

/** Of each device in turn, a second apart from `second` on. */
function manyRows(second: number, rowCount: number): Pick<TestShipment, 'rows' | 'select' | 'lies'> {
  const device = `CASE i % 5 WHEN 4 THEN NULL ELSE chr(97 + (i % 5)::INTEGER) END AS device`;
  const time = `make_timestamptz(${noonUs} + (${second} + i // 5) * 1000000)`;
  const select = `SELECT ${time} AS time, ${device}, (hash(i) % 1000003)::DOUBLE AS v FROM range(${rowCount}) t(i)`;
  return { rows: [], select, lies: { rowCount } };
}

/** Two files of a day that has been over for long, each with rows of all devices, and one of a later day. */
async function makeClosedDay(table: string): Promise<void> {
  for (const half of [0, 1]) await lake.ship({ table, seq: half + 1, ...manyRows(half * 1_000, 5_000) });
  await lake.ship({ table, seq: 3, rows: [{ time: noonUs + 2 * 86_400_000_000, device: 'a', v: 1 }] });
  const ingester = await lake.openIngester({ commitFilesMax: 1 });
  for (let round = 1; round <= 3; round += 1) await lake.runClean(ingester);
}

/** Small enough that a day becomes several files. */
const cutting = { ...policy, targetBytes: 8_000 };

const seriesOf = async (file: DataFile) =>
  (await lake.query([file], 'SELECT DISTINCT device FROM files ORDER BY ALL')).map(({ device }) => device);

test('a closed day is sorted as a whole and cut between series: a query for one reads one file', async () => {
  await makeClosedDay('closed');
  const rows = await lake.readTable('closed');
  await compact(cutting);
  assert.deepEqual(await lake.readTable('closed'), rows);
  const { files, version } = await lake.snapshot('closed');
  const ofDay = [...files.values()].filter(({ day }) => day === '2026-03-01');
  assert(ofDay.length > 2, `cut into ${ofDay.length}`);
  assert.deepEqual(
    ofDay.map(({ level }) => level),
    ofDay.map(() => 2),
  );
  const series: unknown[] = [];
  for (const file of ofDay) series.push(...(await seriesOf(file)));
  assert.deepEqual(series, devices, 'each in one file, in their order');
  await compact(cutting);
  assert.equal((await lake.snapshot('closed')).version, version, 'what is sorted is left alone');
});

test('late rows reopen a closed day, and it is sorted again', async () => {
  await makeClosedDay('reopened');
  await compact(cutting);
  await lake.ship({ table: 'reopened', seq: 4, ...manyRows(-1_000, 3_000) });
  await lake.runClean(await lake.openIngester());
  const rows = await lake.readTable('reopened');
  await compact(cutting);
  assert.deepEqual(await lake.readTable('reopened'), rows);
  const { files } = await lake.snapshot('reopened');
  const levels = [...files.values()].filter(({ day }) => day === '2026-03-01').map(({ level }) => level);
  assert(levels.length > 1 && levels.every((level) => level === 2), levels.join());
});

type Make = (table: string) => Promise<void>;

/** Every request of a round is the last one, or fails alone, before or after its effect; then comes a whole round. */
async function strikeEveryRequest(
  table: string,
  make: Make,
  policyOfTest: typeof policy,
  ends = [true, false],
): Promise<void> {
  for (const when of ['before', 'after'] as const)
    for (const isLast of ends) {
      const struck = `${table}_${when}_${isLast ? 'killed' : 'failing'}`;
      await openLake();
      await make(struck);
      const rows = await lake.readTable(struck);
      for (let failing = 1, isReached = true; isReached; failing++) {
        let requests = 0;
        plant({
          [when]: () => {
            requests += 1;
            if (isLast ? requests >= failing : requests === failing)
              throw new Failure('store_unavailable', 'planted');
          },
        });
        await compact(policyOfTest).catch(() => undefined);
        plant({});
        isReached = requests >= failing;
        assert.deepEqual(await lake.readTable(struck), rows, `${struck} at request ${failing}`);
      }
      await compact(policyOfTest);
      assert.deepEqual(await lake.readTable(struck), rows);
      assert(
        [...(await lake.snapshot(struck)).files.values()].some(({ level }) => level > 0),
        struck,
      );
    }
}

test(
  'every request of a round of merges may be the last one, or fail alone: the rows stay the same',
  { timeout: 120_000 },
  () => strikeEveryRequest('merging', (table) => makeTable(table, 6), policy),
);

test('every request of sorting a day may be the last one: the rows stay the same', { timeout: 120_000 }, () =>
  strikeEveryRequest('sorting', makeClosedDay, cutting, [true]),
);
