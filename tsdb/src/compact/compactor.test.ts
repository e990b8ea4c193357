import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import type { PlantedFaults } from '@varve/common/store/memory-store.js';
import { DeltaCatalog } from '../delta/catalog.js';
import { DownloadedFiles, noonUs, TestLake } from '../ingest/lake.test.fixture.js';
import { Compactor } from './compactor.js';

const policy = { filesMin: 4, filesMax: 128, targetBytes: 2 ** 20, settleMs: 1_000 };
const minuteUs = 60_000_000;

let lake: TestLake;
let nextSeq = 1;
before(async () => {
  lake = await TestLake.open();
});
after(() => lake.close());

/** One commit with one file, of one row of each of two devices. */
async function commitMinute(minute: number, table: string): Promise<void> {
  const rows = ['a', 'b'].map((device) => ({ time: noonUs + minute * minuteUs, device, v: minute }));
  await lake.ship({ table, seq: minute + 1, rows });
  const ingester = await lake.openIngester();
  await lake.runClean(ingester);
}

async function openCompactor(): Promise<Compactor> {
  const catalog = new DeltaCatalog(lake.store, systemClock, silentLogger());
  await catalog.refresh();
  return await Compactor.open({
    ...{
      store: lake.store,
      catalog,
      policy,
      clock: systemClock,
      log: silentLogger(),
      registry: new Registry(),
    },
    dataFiles: new DownloadedFiles(lake.store, lake.dir),
    dataDir: join(lake.dir, `compactor-${nextSeq++}`),
  });
}

async function compact(): Promise<void> {
  const compactor = await openCompactor();
  await compactor.runOnce();
  await compactor.close();
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

test(
  'every request of a round may be the last one, or fail alone: the rows stay the same',
  { timeout: 120_000 },
  async () => {
    await makeTable('killed', 6);
    const rows = await lake.readTable('killed');
    for (const when of ['before', 'after'] as const)
      for (let failing = 1; failing < 30; failing++) {
        let requests = 0;
        plant({
          [when]: () => {
            if (++requests === failing) throw new Failure('store_unavailable', 'planted');
          },
        });
        await openCompactor().then(
          async (compactor) => {
            await compactor.runOnce();
            await compactor.close();
          },
          () => undefined,
        );
        plant({});
        assert.deepEqual(await lake.readTable('killed'), rows, `${when} request ${failing}`);
      }
    await compact();
    assert.deepEqual(await lake.readTable('killed'), rows);
    assert.equal(await fileCount('killed'), 2);
  },
);
