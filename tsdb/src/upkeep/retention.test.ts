import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { Failure } from '@varve/common/errors.js';
import { noonUs, TestLake } from '../ingest/lake.test.fixture.js';
import { openTestUpkeep } from './upkeep.test.fixture.js';

const dayMs = 86_400_000;
const retainMs = 2 * dayMs;

let lake: TestLake;
before(async () => {
  lake = await TestLake.open();
});
after(() => lake.close());

/** A row at noon of each of five days. */
async function makeDays(table: string): Promise<void> {
  const rows = [0, 1, 2, 3, 4].map((day) => ({ time: noonUs + day * dayMs * 1_000, device: 'a', v: day }));
  await lake.ship({ table, rows });
  await lake.runClean(await lake.openIngester());
}

async function retain(isDryRun = false) {
  const { upkeep } = await openTestUpkeep(lake, {
    retainMsOf: ({ table }) => (table.startsWith('kept') ? undefined : retainMs),
  });
  try {
    return await upkeep.retention.runOnce({ isDryRun });
  } finally {
    await upkeep.close();
  }
}

const values = async (table: string) => (await lake.readTable(table)).map(({ v }) => v);

test('whole days older than retain leave the table, and nothing is read or written for it', async () => {
  await makeDays('old');
  await makeDays('kept_for_ever');
  const dry = (await retain(true)).find(({ table }) => table === 'main.old');
  assert.deepEqual([dry?.days, dry?.files, dry?.rows, dry?.firstDay], [2, 2, 2, '2026-03-01']);
  assert.deepEqual(await values('old'), [0, 1, 2, 3, 4], 'a dry run changes nothing');
  const { transactions } = await lake.snapshot('old');
  const dataKeys = await lake.keys('tables/main/old/day=');
  await retain();
  assert.deepEqual(await values('old'), [2, 3, 4]);
  assert.deepEqual(await values('kept_for_ever'), [0, 1, 2, 3, 4]);
  assert.deepEqual(await lake.keys('tables/main/old/day='), dataKeys, 'the bytes stay for vacuum');
  assert.deepEqual((await lake.snapshot('old')).transactions, transactions, 'nothing comes back');
  const { version } = await lake.snapshot('old');
  await retain();
  assert.equal((await lake.snapshot('old')).version, version, 'nothing more to do');
});

test('every request of a round may be the last one: old days are there, or have gone', async () => {
  for (const when of ['before', 'after'] as const) {
    const table = `struck_${when}`;
    await makeDays(table);
    for (let failing = 1, isReached = true; isReached; failing++) {
      let requests = 0;
      lake.store.faults[when] = () => {
        if (++requests >= failing) throw new Failure('store_unavailable', 'planted');
      };
      await retain().catch(() => undefined);
      lake.store.faults.before = lake.store.faults.after = undefined;
      const left = (await values(table)).join();
      assert(['0,1,2,3,4', '2,3,4'].includes(left), left);
      isReached = requests >= failing;
    }
    assert.equal((await values(table)).join(), '2,3,4');
  }
});
