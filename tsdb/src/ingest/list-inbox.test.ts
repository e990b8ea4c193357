import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { listInbox } from './list-inbox.js';

async function storeWith(lanes: Readonly<Record<string, number>>): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const [table, count] of Object.entries(lanes))
    for (let seq = 1; seq <= count; seq += 1)
      await store.put(
        `inbox/a/e/data/main/${table}/${String(seq).padStart(12, '0')}.parquet`,
        new Uint8Array(3),
      );
  return store;
}

/** What successive listings see: `table1..n`. */
async function listAll(
  store: MemoryStore,
  listedKeysMax: number,
  listedKeysPerLaneMax: number,
): Promise<string[]> {
  const listings: string[] = [];
  let startAfter: string | undefined;
  do {
    const listing = await listInbox(store, { listedKeysMax, listedKeysPerLaneMax }, startAfter);
    listings.push(listing.objects.map(({ parts }) => `${parts.table}${parts.seq}`).join(' '));
    startAfter = listing.resumeAfter;
  } while (startAfter !== undefined);
  return listings;
}

test('everything is seen at once where there is little', async () => {
  assert.deepEqual(await listAll(await storeWith({ a: 2, b: 1 }), 100, 100), ['a1 a2 b1']);
  assert.deepEqual(await listAll(new MemoryStore(), 100, 100), ['']);
});

test('of a long lane only the beginning is seen', async () => {
  assert.deepEqual(await listAll(await storeWith({ a: 9, a_b: 1, b: 9 }), 100, 2), ['a1 a2 a_b1 b1 b2']);
});

test('a listing ends between lanes, and the next goes on there', async () => {
  const store = await storeWith({ a: 3, b: 3, c: 1 });
  assert.deepEqual(await listAll(store, 2, 100), ['a1 a2 a3', 'b1 b2 b3', 'c1']);
  assert.deepEqual(await listAll(store, 4, 2), ['a1 a2 b1 b2', 'c1']);
});

test('keys that are none of ours are told apart', async () => {
  const store = await storeWith({ a: 1 });
  for (const key of [
    'inbox/readme.txt',
    'inbox/a/e/data/main/a/1.parquet',
    'inbox/a/e/data/Main/a/000000000001.parquet',
  ])
    await store.put(key, new Uint8Array());
  const { objects, foreign } = await listInbox(
    store,
    { listedKeysMax: 100, listedKeysPerLaneMax: 100 },
    undefined,
  );
  assert.equal(objects.length, 1);
  assert.deepEqual(
    foreign.map(({ key }) => key),
    ['inbox/a/e/data/Main/a/000000000001.parquet', 'inbox/a/e/data/main/a/1.parquet', 'inbox/readme.txt'],
  );
});
