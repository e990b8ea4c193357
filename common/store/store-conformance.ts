/**
 * What every store must do, as one suite for all of them. A store's own test file calls `testStore` and adds what is
 * particular to it.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { testKeys, testLists } from './list-conformance.js';
import { bytesOf, failsWith, keysOf, textOf } from './store-asserts.js';
import type { Store } from './store.js';

export interface OpenedStore {
  readonly store: Store;
  readonly close: () => void | Promise<void>;
}

const bigFileBytes = 20 * 1024 * 1024;

export function testStore(name: string, makeStore: () => Promise<OpenedStore>): void {
  describe(`${name}, as every store`, () => {
    let opened: OpenedStore;
    let directory: string;

    before(async () => {
      opened = await makeStore();
      directory = await mkdtemp(join(tmpdir(), 'varve-store-'));
    });
    after(async () => {
      await opened.close();
      await rm(directory, { recursive: true, force: true });
    });

    testPuts(() => opened.store);
    testReads(() => opened.store);
    testFiles(
      () => opened.store,
      () => directory,
    );
    testLists(() => opened.store);
    testKeys(() => opened.store);
  });
}

function testPuts(theStore: () => Store): void {
  it('put creates and replaces', async () => {
    const store = theStore();
    await store.put('put/one', bytesOf('first'));
    await store.put('put/one', bytesOf('second'));
    assert.equal(textOf(await store.get('put/one')), 'second');
  });

  it('putIfAbsent creates once and leaves the first content', async () => {
    const store = theStore();
    assert.equal(await store.putIfAbsent('absent/one', bytesOf('first')), 'created');
    assert.equal(await store.putIfAbsent('absent/one', bytesOf('second')), 'exists');
    assert.equal(textOf(await store.get('absent/one')), 'first');
  });

  for (const count of [8, 50])
    it(`of ${count} concurrent putIfAbsent exactly one creates, in a new folder too`, async () => {
      const store = theStore();
      const key = `race/${randomUUID()}/key`;
      const bodies = Array.from({ length: count }, (_, index) => bytesOf(`body ${index}`));
      const outcomes = await Promise.all(bodies.map((body) => store.putIfAbsent(key, body)));
      assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1);
      assert.equal(textOf(await store.get(key)), `body ${outcomes.indexOf('created')}`);
    });

  it('puts and deletions of neighbours do not disturb each other', async () => {
    const store = theStore();
    const keys = Array.from({ length: 40 }, (_, index) => `neighbours/deep/er/${index}`);
    await Promise.all(
      keys.map(async (key) => {
        assert.equal(await store.putIfAbsent(key, bytesOf(key)), 'created');
        await store.delete([key]);
      }),
    );
    assert.deepEqual(await keysOf(store, 'neighbours/'), []);
  });

  it('an empty object is an object', async () => {
    const store = theStore();
    assert.equal(await store.putIfAbsent('empty', new Uint8Array()), 'created');
    assert.equal(await store.putIfAbsent('empty', new Uint8Array()), 'exists');
    assert.equal((await store.get('empty')).length, 0);
    assert.equal((await store.head('empty'))?.bytes, 0);
  });

  it('delete deletes what exists and is silent about what does not', async () => {
    const store = theStore();
    await store.put('gone/one', bytesOf('1'));
    await store.put('gone/two', bytesOf('2'));
    await store.delete(['gone/one', 'gone/never-was', 'gone/two']);
    await store.delete(['gone/one']);
    await store.delete([]);
    assert.deepEqual(await keysOf(store, 'gone/'), []);
    assert.equal(await store.putIfAbsent('gone/one', bytesOf('again')), 'created');
  });
}

function testReads(theStore: () => Store): void {
  it('get reads ranges, cut at the end of the object', async () => {
    const store = theStore();
    await store.put('range', bytesOf('0123456789'));
    const read = async (start: number, end: number) => textOf(await store.get('range', { start, end }));
    assert.equal(await read(0, 1), '0');
    assert.equal(await read(2, 5), '234');
    assert.equal(await read(0, 10), '0123456789');
    assert.equal(await read(8, 99), '89');
    assert.equal(await read(10, 12), '');
  });

  it('a missing object is object_missing to readers and undefined to head', async () => {
    const store = theStore();
    await failsWith('object_missing', store.get('missing/object'));
    await failsWith('object_missing', store.get('missing/object', { start: 0, end: 1 }));
    await failsWith('object_missing', store.download('missing/object', join(tmpdir(), randomUUID())));
    assert.equal(await store.head('missing/object'), undefined);
  });

  it('head tells size and time', async () => {
    const store = theStore();
    await store.put('head/one', bytesOf('four'));
    const info = await store.head('head/one');
    assert.equal(info?.key, 'head/one');
    assert.equal(info.bytes, 4);
    assert.ok(Math.abs(info.modifiedMs - Date.now()) < 60_000);
  });
}

function testFiles(theStore: () => Store, theDirectory: () => string): void {
  it('puts a file and downloads it whole, leaving nothing else behind', async () => {
    const store = theStore();
    const source = join(theDirectory(), 'source');
    const target = join(theDirectory(), 'downloads-target');
    await writeFile(source, 'from a file');
    await writeFile(target, 'what was there before');
    await store.put('file/one', { path: source });
    assert.equal(await store.download('file/one', target), 11);
    assert.equal(await readFile(target, 'utf8'), 'from a file');
    await failsWith('object_missing', store.download('file/two', join(theDirectory(), 'downloads-missing')));
    const names = await readdir(theDirectory());
    assert.deepEqual(
      names.filter((fileName) => fileName.startsWith('downloads')),
      ['downloads-target'],
    );
  });

  it('of 4 concurrent putIfAbsent of 20 MiB exactly one creates', async () => {
    const store = theStore();
    const bodies = Array.from({ length: 4 }, () => randomBytes(bigFileBytes));
    const outcomes = await Promise.all(bodies.map((body) => store.putIfAbsent('file/race', body)));
    assert.deepEqual(outcomes.toSorted(), ['created', 'exists', 'exists', 'exists']);
    const winner = bodies[outcomes.indexOf('created')];
    assert.ok(winner);
    assert.equal(Buffer.compare(await store.get('file/race'), winner), 0);
    assert.deepEqual(await keysOf(store, 'file/race'), ['file/race']);
  });

  it('puts 20 MiB over what was there, and reads a range from the middle', async () => {
    const store = theStore();
    const content = randomBytes(bigFileBytes);
    await store.put('file/replaced', bytesOf('what was there before'));
    await store.put('file/replaced', content);
    const [start, end] = [10 * 1024 ** 2 - 3, 10 * 1024 ** 2 + 3];
    const range = await store.get('file/replaced', { start, end });
    assert.equal(Buffer.compare(range, content.subarray(start, end)), 0);
    assert.equal((await store.head('file/replaced'))?.bytes, bigFileBytes);
  });

  it('puts a 20 MiB file if absent, once', async () => {
    const store = theStore();
    const source = join(theDirectory(), 'big');
    const target = join(theDirectory(), 'big-back');
    const content = randomBytes(bigFileBytes);
    await writeFile(source, content);
    assert.equal(await store.putIfAbsent('file/big', { path: source }), 'created');
    await writeFile(source, randomBytes(bigFileBytes));
    assert.equal(await store.putIfAbsent('file/big', { path: source }), 'exists');
    assert.equal(await store.download('file/big', target), bigFileBytes);
    assert.equal(Buffer.compare(await readFile(target), content), 0);
  });
}
