/**
 * The part of the conformance suite that is about keys: their order, their pages, and which are refused.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { bytesOf, failsWith, keysOf } from './store-asserts.js';
import { compareKeys } from './store-key.js';
import type { Store } from './store.js';

/** S3 lists 1,000 keys a page. */
const manyKeysCount = 1_005;

export function testLists(theStore: () => Store): void {
  // U+FF5E sorts after U+1F30A in UTF-16, and before it in UTF-8.
  const keys = ['a b', 'a-b', 'a.b', 'a/b', 'a/c/d', 'a0', 'aé', 'z', 'é', '\uff5e', '\u{1f30a}'].map(
    (key) => `order/${key}`,
  );

  it('lists in the order of UTF-8 bytes, whatever the order of puts', async () => {
    const store = theStore();
    for (const key of keys.toReversed()) await store.put(key, bytesOf(key));
    assert.deepEqual(await keysOf(store, 'order/'), keys);
    assert.deepEqual(keys, keys.toSorted(compareKeys));
    assert.deepEqual(await keysOf(store, 'order/a'), keys.slice(0, 7));
    assert.deepEqual(await keysOf(store, 'order/a/'), ['order/a/b', 'order/a/c/d']);
    assert.deepEqual(await keysOf(store, 'order/nothing'), []);
    assert.deepEqual(await keysOf(store, 'nothing/'), []);
  });

  it('starts after any key, there or not', async () => {
    const store = theStore();
    for (const [index, key] of keys.entries())
      assert.deepEqual(await keysOf(store, 'order/', { startAfter: key }), keys.slice(index + 1));
    assert.deepEqual(await keysOf(store, 'order/', { startAfter: 'order/a/b/zzz' }), keys.slice(4));
    assert.deepEqual(await keysOf(store, 'order/', { startAfter: 'order/a/' }), keys.slice(3));
    assert.deepEqual(await keysOf(store, 'order/', { startAfter: 'orde' }), keys);
    assert.deepEqual(await keysOf(store, 'order/', { startAfter: 'p' }), []);
  });

  it(`lists and deletes ${manyKeysCount} objects`, async () => {
    const store = theStore();
    const many = Array.from(
      { length: manyKeysCount },
      (_, index) => `many/${String(index).padStart(5, '0')}`,
    );
    await inGroups(many, 32, (key) => store.put(key, bytesOf(key)));
    assert.deepEqual(await keysOf(store, 'many/'), many);
    await store.delete(many);
    assert.deepEqual(await keysOf(store, 'many/'), []);
  });

  it('lists while objects come and go', async () => {
    const store = theStore();
    await store.put('busy/kept', bytesOf('kept'));
    const changes = inGroups(
      Array.from({ length: 60 }, (_, index) => `busy/${index % 7}/${index}`),
      6,
      async (key) => {
        await store.putIfAbsent(key, bytesOf(key));
        await store.delete([key]);
      },
    );
    for (let round = 0; round < 10; round++) assert.ok((await keysOf(store, 'busy/')).includes('busy/kept'));
    await changes;
    assert.deepEqual(await keysOf(store, 'busy/'), ['busy/kept']);
  });
}

export function testKeys(theStore: () => Store): void {
  const invalidKeys = ['', '/', '/a', 'a/', 'a//b', '..', '../a', 'a/../b', './a', 'a\0b', 'a\nb', 'a\\b'];
  for (const key of [...invalidKeys, '.tmp/a', '\ud800', 'x'.repeat(256), 'x/'.repeat(600) + 'x'])
    it(`${JSON.stringify(key.slice(0, 16))} is not a key`, async () => {
      const store = theStore();
      await failsWith('key_invalid', store.put(key, bytesOf('x')));
      await failsWith('key_invalid', store.putIfAbsent(key, bytesOf('x')));
      await failsWith('key_invalid', store.get(key));
      await failsWith('key_invalid', store.head(key));
      await failsWith('key_invalid', store.download(key, join(tmpdir(), randomUUID())));
      await failsWith('key_invalid', store.delete([key]));
    });

  it('no prefix leads out of the store', async () => {
    for (const prefix of ['../', '/', 'a/../../', '.tmp/'])
      assert.deepEqual(await keysOf(theStore(), prefix), []);
  });
}

async function inGroups(
  keys: readonly string[],
  groupSize: number,
  work: (key: string) => Promise<void>,
): Promise<void> {
  for (let first = 0; first < keys.length; first += groupSize)
    await Promise.all(keys.slice(first, first + groupSize).map(work));
}
