import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { parseDeltaCommitVersion } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { MemoryStore } from '@varve/common/store/memory-store.js';
import type { Ingester } from './ingester.js';
import { noonUs, TestLake, type TestShipment } from './lake.test.fixture.js';

/** Rows that meet older ones, rows of a second day, a new column, and a shipment that is broken. */
const before: TestShipment = {
  rows: [
    { time: noonUs, device: 'a', v: 1 },
    { time: noonUs + 1, device: 'b', v: 2 },
  ],
};
const after: TestShipment[] = [
  { seq: 2, rows: [{ time: noonUs, device: 'a', v: 10 }] },
  { seq: 4, types: { w: 'long' }, rows: [{ time: noonUs + 86_400_000_000, device: 'a', w: 4 }] },
  { agent: 'other', rows: [{ time: noonUs + 1, device: 'b', v: 20 }] },
];
const expected = [
  [0, 'a', 10, null],
  [1, 'b', 20, null],
  [86_400_000_000, 'a', null, 4n],
];

async function openScene(): Promise<TestLake> {
  const lake = await TestLake.open();
  await lake.ship(before);
  await (await lake.openIngester()).runOnce();
  for (const shipment of after) await lake.ship(shipment);
  await lake.store.put('inbox/press-hall-3/e1/data/main/climate/000000000003.parquet', Buffer.from('broken'));
  return lake;
}

async function checkScene(lake: TestLake, when: string): Promise<void> {
  lake.store.faults.before = lake.store.faults.after = undefined;
  for (let round = 1; round <= 2; round += 1) {
    // As after a restart: an ingester with an empty memory.
    const report = await (await lake.openIngester()).runOnce();
    assert.deepEqual(report.failures, [], when);
  }
  const rows = (await lake.readTable()).map(({ time, device, v, w }) => [
    Number(time) - noonUs,
    device,
    v,
    w,
  ]);
  assert.deepEqual(rows, expected, when);
  assert.deepEqual(await lake.keys('inbox/'), [], when);
  assert.equal((await lake.keys('quarantine/')).length, 2, when);
}

/** Lets operation number `at` of the store, counted from 0, fail. Returns whether there was one. */
function plant(
  store: MemoryStore,
  at: number,
  phase: 'before' | 'after',
  fail: (isIt: boolean) => void,
): () => boolean {
  let count = 0;
  store.faults[phase] = () => {
    const index = count++;
    fail(index === at);
  };
  return () => count > at;
}

for (const phase of ['before', 'after'] as const) {
  test(`killed ${phase} any request to the store: the next start makes it good`, async () => {
    for (let at = 0; ; at += 1) {
      const lake = await openScene();
      let isDead = false;
      const wasReached = plant(lake.store, at, phase, (isIt) => {
        isDead ||= isIt;
        if (isDead) throw new Error('killed');
      });
      await (await lake.openIngester()).runOnce().catch(() => undefined);
      await checkScene(lake, `killed ${phase} request ${at}`);
      await lake.close();
      if (wasReached()) continue;
      assert.ok(at > 15, `only ${at} requests`);
      return;
    }
  });

  test(`any one request fails ${phase} its effect: the same ingester makes it good`, async () => {
    for (let at = 0; ; at += 1) {
      const lake = await openScene();
      const wasReached = plant(lake.store, at, phase, (isIt) => {
        if (isIt) throw new Failure('store_unavailable', 'the connection broke');
      });
      const ingester = await lake.openIngester();
      await ingester.runOnce().catch(() => undefined);
      // Its backoff is a few milliseconds long.
      for (
        let round = 0;
        round < 200 && (await lake.keys('inbox/').catch(() => ['?'])).length > 0;
        round += 1
      )
        await ingester.runOnce().catch(() => undefined);
      await checkScene(lake, `request ${at} failed ${phase}`);
      await lake.close();
      if (!wasReached()) return;
    }
  });
}

test('a commit that landed unnoticed, its answer and the look after it lost: nothing is deleted, nothing comes twice', async () => {
  const lake = await openScene();
  let isLost = false;
  lake.store.faults.after = (operation, key) => {
    if (operation === 'putIfAbsent' && parseDeltaCommitVersion(key) === 1) isLost = true;
    if (isLost && (operation === 'putIfAbsent' || operation === 'head'))
      throw new Failure('store_unavailable', 'the connection broke');
  };
  const { failures } = await (await lake.openIngester()).runOnce();
  assert.equal(failures.length, 1);
  assert.equal((await lake.keys('inbox/')).length, 3, 'nobody knows yet whether they are in');
  await checkScene(lake, 'after the connection is back');
  assert.equal((await lake.snapshot()).version, 1);
  await lake.close();
});

test('two ingesters on one store: every row once, every version one commit, no file left over', async () => {
  const lake = await TestLake.open();
  lake.store.faults.before = async () => {
    for (let turn = 0; turn < Math.random() * 4; turn += 1) await setImmediate();
  };
  const [left, right] = [await lake.openIngester(), await lake.openIngester()];
  const seqMax = 25;
  const shipAll = async (agent: string) => {
    for (let seq = 1; seq <= seqMax; seq += 1) {
      const rows = ['a', 'b'].map((device) => ({ time: noonUs + seq, device: `${agent}-${device}`, v: seq }));
      await lake.ship({ agent, seq, rows });
    }
  };
  const workers = [shipAll('x'), shipAll('y'), drain(lake, left, 2 * seqMax), drain(lake, right, 2 * seqMax)];
  await Promise.all(workers);
  const rows = await lake.readTable();
  assert.equal(rows.length, 4 * seqMax);
  assert.equal(new Set(rows.map(({ time, device }) => `${String(time)} ${String(device)}`)).size, 4 * seqMax);
  const keys = await lake.keys('tables/');
  const { version, files } = await lake.snapshot();
  const commits = keys.filter((key) => parseDeltaCommitVersion(key) !== undefined);
  assert.equal(commits.length, version + 1);
  const dataKeys = keys.filter((key) => !commits.includes(key));
  assert.ok(dataKeys.length >= files.size);
  assert.deepEqual(new Set(dataKeys), await referencedKeys(lake, commits));
  await lake.close();
});

/** Rounds until `seqSum` shipments are in the table. */
async function drain(lake: TestLake, ingester: Ingester, seqSum: number): Promise<void> {
  for (;;) {
    await ingester.runOnce();
    const { transactions } = await lake.snapshot().catch(() => ({ transactions: new Map<string, number>() }));
    if ([...transactions.values()].reduce((sum, seq) => sum + seq, 0) === seqSum) return;
  }
}

/** Keys of all files that any commit has added. */
async function referencedKeys(lake: TestLake, commitKeys: readonly string[]): Promise<Set<string>> {
  const keys = new Set<string>();
  for (const key of commitKeys)
    for (const [, path] of Buffer.from(await lake.store.get(key))
      .toString()
      .matchAll(/"add":\{"path":"([^"]*)"/g))
      keys.add(`tables/main/climate/${path ?? ''}`);
  return keys;
}
