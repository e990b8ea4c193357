import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { jobsPrefix } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import { noonUs, TestLake } from '../ingest/lake.test.fixture.js';
import type { Job } from '../jobs.js';
import type { DeleteTask } from './delete-task.js';
import { defaultCompactionPolicy } from './plan-compaction.js';
import { openTestUpkeep, type TestUpkeep } from './upkeep.test.fixture.js';

let lake: TestLake;
before(openLake);
after(() => lake.close());

async function openLake(): Promise<void> {
  await (lake as TestLake | undefined)?.close();
  lake = await TestLake.open();
}

const hourUs = 3_600_000_000;

/** Of devices a and b one row an hour, from noon on, over two days: v is the hour. One file for every four hours. */
async function makeTable(table: string, files = 6): Promise<void> {
  const ingester = await lake.openIngester();
  for (let seq = 1; seq <= files; seq += 1) {
    const hours = [0, 1, 2, 3].map((hour) => (seq - 1) * 4 + hour);
    const rows = hours.flatMap((v) => ['a', 'b'].map((device) => ({ time: noonUs + v * hourUs, device, v })));
    await lake.ship({ table, seq, rows });
    await lake.runClean(ingester);
  }
}

function taskOf(table: string, change: Partial<DeleteTask> & { from?: number; to?: number }): DeleteTask {
  const { from, to, where, isDryRun = false } = change;
  const startUs = from === undefined ? -Infinity : noonUs + from * hourUs;
  const endUs = to === undefined ? Infinity : noonUs + to * hourUs;
  return { name: { database: 'main', table }, where, range: { startUs, endUs }, isDryRun };
}

async function whenEnded({ jobs }: TestUpkeep, id: string): Promise<Job> {
  for (;;) {
    const job = jobs.get(id);
    if (job?.endedMs !== undefined) return job;
    await systemClock.sleep(5);
  }
}

/** Runs upkeep's deletes while `work` runs. */
async function withDeleter<T>(work: (test: TestUpkeep) => Promise<T>): Promise<T> {
  const test = await openTestUpkeep(lake);
  const stop = new AbortController();
  const running = test.upkeep.deleter.run(stop.signal);
  try {
    return await work(test);
  } finally {
    stop.abort();
    await running;
    await test.upkeep.close();
  }
}

async function deleteRows(task: DeleteTask): Promise<Job> {
  return await withDeleter(async (test) => {
    await systemClock.sleep(1);
    const { id } = await test.upkeep.deleter.submit(task);
    return await whenEnded(test, id);
  });
}

const rowsOf = async (table: string) =>
  ((await lake.snapshot(table)).files.size > 0 ? await lake.readTable(table) : [])
    .map(({ device, v }) => `${String(device)}${String(v)}`)
    .sort();
const allRows = Array.from({ length: 24 }, (_, v) => [`a${v}`, `b${v}`]).flat();
const except = (isDeleted: (device: string, v: number) => boolean) =>
  allRows.filter((row) => !isDeleted(row[0] ?? '', Number(row.slice(1)))).sort();

const cases: [
  what: string,
  change: Parameters<typeof taskOf>[1],
  isDeleted: (device: string, v: number) => boolean,
][] = [
  ['a time range alone', { from: 3, to: 9 }, (_, v) => v >= 3 && v < 9],
  ['a condition alone', { where: "device = 'a'" }, (device) => device === 'a'],
  ['both', { from: 10, where: 'v % 2 = 0' }, (_, v) => v >= 10 && v % 2 === 0],
  [
    'brackets and comments',
    { where: "v < 2) or (device = 'b' -- or so" },
    (device, v) => v < 2 || device === 'b',
  ],
  ['a condition that is null for all', { where: 'v > null' }, () => false],
  ['everything', { from: 0 }, () => true],
];
for (const [what, change, isDeleted] of cases)
  test(`deletes ${what}; a dry run says the same, and changes nothing`, async () => {
    const table = `t_${what.replaceAll(' ', '_')}`;
    await makeTable(table);
    const { version, transactions } = await lake.snapshot(table);
    const dry = await deleteRows(taskOf(table, { ...change, isDryRun: true }));
    assert.equal((await lake.snapshot(table)).version, version);
    const { state, error, result } = await deleteRows(taskOf(table, change));
    assert.equal(state, 'done', error);
    assert.deepEqual(await rowsOf(table), except(isDeleted));
    assert.deepEqual({ ...result, versions: [] }, { ...dry.result, versions: [] });
    assert.equal(result?.['rows'], 48 - except(isDeleted).length);
    assert.deepEqual((await lake.snapshot(table)).transactions, transactions, 'nothing comes back');
    assert.deepEqual(await lake.keys(jobsPrefix), []);
  });

test('files that lie in the range as a whole are not read; files without a matching row are left alone', async () => {
  await makeTable('whole');
  const reads: string[] = [];
  lake.store.faults.before = (operation, key) => {
    if (operation === 'download') reads.push(key);
  };
  const { result } = await deleteRows(taskOf('whole', { from: 4, to: 9 }));
  lake.store.faults.before = undefined;
  assert.equal(reads.length, 1, 'of the file that is cut');
  assert.deepEqual([result?.['filesRemoved'], result?.['filesRewritten']], [1, 1]);
  const before = await lake.snapshot('whole');
  await deleteRows(taskOf('whole', { where: 'v = 23' }));
  const after = await lake.snapshot('whole');
  const kept = [...after.files.keys()].filter((path) => before.files.has(path));
  assert.equal(kept.length, before.files.size - 1);
});

test('a condition that is none over the columns is refused, and so is a delete where nobody works', async () => {
  await makeTable('refused');
  await withDeleter(async ({ upkeep }) => {
    await systemClock.sleep(1);
    for (const where of ['nothing = 1', 'v +', 'count(*) > 1', "'maybe'"])
      await assert.rejects(
        upkeep.deleter.submit(taskOf('refused', { where })),
        (error) => isFailure(error, 'sql_invalid'),
        where,
      );
  });
  const { upkeep } = await openTestUpkeep(lake);
  await assert.rejects(upkeep.deleter.submit(taskOf('refused', { from: 0 })), (error) =>
    isFailure(error, 'lease_elsewhere'),
  );
  await upkeep.close();
});

test('compaction replaces files meanwhile: the step is planned again, and every row is judged', async () => {
  await makeTable('raced');
  let isFirst = true;
  lake.store.faults.before = async (operation, key) => {
    if (operation !== 'putIfAbsent' || !key.includes('raced/_delta_log') || !isFirst) return;
    isFirst = false;
    const policy = { ...defaultCompactionPolicy, filesMin: 2, settleMs: 0 };
    const { upkeep } = await openTestUpkeep(lake, { policy });
    await upkeep.compactor.runOnce();
    await upkeep.close();
  };
  await deleteRows(taskOf('raced', { where: 'v >= 4 and v < 10' }));
  lake.store.faults.before = undefined;
  assert.deepEqual(
    await rowsOf('raced'),
    except((_, v) => v >= 4 && v < 10),
  );
});

test(
  'every request of a delete may be the last one: the next start finishes it',
  { timeout: 120_000 },
  async () => {
    for (const when of ['before', 'after'] as const) {
      for (let failing = 1, isReached = true; isReached; failing++) {
        await openLake();
        const table = 'struck';
        await makeTable(table, 2);
        let requests = 0;
        const stop = new AbortController();
        const test = await openTestUpkeep(lake);
        const running = test.upkeep.deleter.run(stop.signal);
        await systemClock.sleep(1);
        lake.store.faults[when] = () => {
          if (++requests >= failing) throw new Failure('store_unavailable', 'planted');
        };
        const task = taskOf(table, { from: 2, where: "device = 'a'" });
        const job = await test.upkeep.deleter.submit(task).catch(() => undefined);
        if (job) await whenEnded(test, job.id);
        isReached = requests >= failing;
        stop.abort();
        await running;
        lake.store.faults.before = lake.store.faults.after = undefined;
        await test.upkeep.close();
        const wasAccepted = (await lake.keys(jobsPrefix)).length > 0;
        if (wasAccepted)
          await withDeleter(async () => {
            while ((await lake.keys(jobsPrefix)).length > 0) await systemClock.sleep(5);
          });
        const left = await rowsOf(table);
        const all = allRows.filter((row) => Number(row.slice(1)) < 8).sort();
        const expected = all.filter((row) => row.startsWith('b') || ['a0', 'a1'].includes(row));
        if (job) assert.deepEqual(left, expected, `${when} ${failing}`);
        else assert([expected.length, all.length].includes(left.length), `${when} ${failing}`);
      }
    }
  },
);
