import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { Failure, isFailure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { FolderStore } from '@varve/common/store/folder-store.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import type { Store } from '@varve/common/store/store.js';
import type { DataFile } from '../delta/snapshot.js';
import { FileCache } from './file-cache.js';

let folder = '';
let store = new MemoryStore();
let downloads: string[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'file-cache-'));
  downloads = [];
  store = new MemoryStore({
    faults: {
      before: (operation, key) => {
        if (operation === 'download') downloads.push(key);
      },
    },
  });
});
afterEach(async () => {
  for (const cache of opened.splice(0)) await cache.close();
  await rm(folder, { recursive: true });
});

const opened: FileCache[] = [];
const open = async (bytesMax = 1_000, on: Store = store) => {
  const cache = await FileCache.open({
    store: on,
    folder: join(folder, 'cache'),
    bytesMax,
    log: silentLogger(),
    registry: new Registry(),
  });
  opened.push(cache);
  return cache;
};

/** An object of 100 bytes per letter of its name, and what its table says of it. */
async function putFile(name: string, on: Store = store): Promise<DataFile> {
  const path = `day=2026-01-01/part-${name}.parquet`;
  const key = `tables/main/environment/${path}`;
  await on.put(key, Buffer.from(name.repeat(100)));
  const size = { bytes: name.length * 100, rowCount: 1 };
  return { path, key, day: '2026-01-01', ...size, minTimeUs: 0, maxTimeUs: 0, level: 0, addedMs: 0 };
}

const use = async (cache: FileCache, ...files: DataFile[]) => {
  (await cache.acquire(files)).release();
};
const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
/** Files go in the background, soon. */
async function waitUntilGone(path: string): Promise<void> {
  for (let attempt = 0; attempt < 1_000 && (await exists(path)); attempt++);
  assert.equal(await exists(path), false);
}

test('brings a file once and keeps it', async () => {
  const cache = await open();
  const file = await putFile('a');
  const held = await cache.acquire([file]);
  assert.equal(await readFile(held.paths.get(file.path) ?? '', 'utf8'), 'a'.repeat(100));
  held.release();
  await use(cache, file);
  assert.deepEqual(downloads, [file.key]);
  assert.deepEqual(cache.status, { files: 1, bytes: 100, bytesMax: 1_000 });
});

test('brings a file once for all who ask at the same time', async () => {
  const cache = await open();
  const file = await putFile('a');
  await Promise.all(Array.from({ length: 20 }, () => use(cache, file)));
  assert.equal(downloads.length, 1);
});

test('downloads no more than 16 files at a time', async () => {
  let running = 0;
  let runningMax = 0;
  let letAllGo: () => void = () => undefined;
  const all16AreRunning = new Promise<void>((resolve) => (letAllGo = resolve));
  store.faults.before = async (operation) => {
    if (operation !== 'download') return;
    runningMax = Math.max(runningMax, ++running);
    if (running === 16) setTimeout(letAllGo, 50);
    await all16AreRunning;
    running -= 1;
  };
  const cache = await open(100_000);
  const files = await Promise.all(Array.from({ length: 50 }, (_, index) => putFile(`${index}`)));
  await use(cache, ...files);
  assert.equal(runningMax, 16);
});

test('lets the longest unused file go when there is no room', async () => {
  const cache = await open(200);
  const [a, b, c] = [await putFile('a'), await putFile('b'), await putFile('c')];
  await use(cache, a);
  await use(cache, b);
  await use(cache, a);
  await use(cache, c);
  await waitUntilGone(join(folder, 'cache', b.key));
  await use(cache, a);
  assert.deepEqual(downloads, [a.key, b.key, c.key]);
});

test('keeps a file in use, takes more room than it has for it, and gives that back', async () => {
  const cache = await open(100);
  const [a, b] = [await putFile('a'), await putFile('b')];
  const held = await cache.acquire([a, b]);
  assert.equal(cache.status.bytes, 200);
  for (const path of held.paths.values()) assert.ok(await exists(path));
  held.release();
  assert.equal(cache.status.bytes, 100);
});

test('brings a file back that has just been let go', async () => {
  const cache = await open(100);
  const [a, b] = [await putFile('a'), await putFile('b')];
  for (let round = 0; round < 20; round++)
    for (const file of [a, b]) {
      const held = await cache.acquire([file]);
      assert.ok(await exists(held.paths.get(file.path) ?? ''));
      held.release();
    }
});

test('names the object that has another size than its table says', async () => {
  const cache = await open();
  const file = { ...(await putFile('a')), bytes: 99 };
  await assert.rejects(use(cache, file), (error) => {
    assert.ok(isFailure(error, 'object_corrupt'));
    assert.match(error.message, /part-a\.parquet has 100 bytes where its table says 99/);
    return true;
  });
  assert.equal(cache.status.bytes, 0);
});

test('names the object that is missing', async () => {
  const cache = await open();
  const file = await putFile('a');
  await store.delete([file.key]);
  await assert.rejects(
    use(cache, file),
    (error) => isFailure(error, 'object_missing') && error.message.includes(file.key),
  );
});

test('tries again after a failure', async () => {
  const cache = await open();
  const file = await putFile('a');
  const count = store.faults.before;
  store.faults.before = () => {
    throw new Failure('store_unavailable', 'the store is away');
  };
  await assert.rejects(use(cache, file), /the store is away/);
  store.faults.before = count;
  await use(cache, file);
  assert.equal(cache.status.files, 1);
});

test('starts no further downloads for a query that has failed', async () => {
  const cache = await open(100_000);
  const files = await Promise.all(Array.from({ length: 40 }, (_, index) => putFile(`${index}`)));
  store.faults.before = (_, key) => {
    downloads.push(key);
    throw new Failure('store_unavailable', 'the store is away');
  };
  await assert.rejects(use(cache, ...files), /the store is away/);
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(downloads.length <= 17, `${downloads.length} downloads were tried`);
});

/** What a run of the program leaves. */
const run = async (...files: DataFile[]) => {
  const cache = await open();
  await use(cache, ...files);
  await cache.close();
};
const contentOf = async (cache: FileCache, file: DataFile) => {
  const held = await cache.acquire([file]);
  const content = await readFile(held.paths.get(file.path) ?? '', 'utf8');
  held.release();
  return content;
};

test('takes up what an earlier run left, without its unfinished files', async () => {
  const file = await putFile('a');
  await run(file);
  const unfinished = join(folder, 'cache', 'tables/main/environment/b.parquet.1234.part');
  await writeFile(unfinished, 'half');
  await use(await open(), file);
  assert.equal(downloads.length, 1);
  assert.equal(await exists(unfinished), false);
});

const damages: [name: string, damage: (path: string) => Promise<void>][] = [
  [
    'with a changed byte',
    async (path) => {
      const bytes = await readFile(path);
      bytes[50] = 98;
      await writeFile(path, bytes);
    },
  ],
  ['of which only half was written', (path) => writeFile(path, 'a'.repeat(50) + '\0'.repeat(50))],
  ['that is another file of the same size', (path) => writeFile(path, 'b'.repeat(100))],
  ['that is too short', (path) => writeFile(path, 'a'.repeat(99))],
  ['that is gone', (path) => rm(path)],
];
for (const [name, damage] of damages)
  test(`fetches a copy again ${name} since the program stopped`, async () => {
    const file = await putFile('a');
    await run(file);
    await damage(join(folder, 'cache', file.key));
    const cache = await open();
    assert.equal(await contentOf(cache, file), 'a'.repeat(100));
    assert.equal(downloads.length, 2);
    assert.equal(await contentOf(cache, file), 'a'.repeat(100));
    assert.equal(downloads.length, 2);
  });

test('does not answer from a damaged copy while the store is away', async () => {
  const file = await putFile('a');
  await run(file);
  await writeFile(join(folder, 'cache', file.key), 'b'.repeat(100));
  const cache = await open();
  store.faults.before = () => {
    throw new Failure('store_unavailable', 'the store is away');
  };
  await assert.rejects(use(cache, file), /the store is away/);
});

test('fetches what nobody knows the checksum of, and takes a damaged list of them for none', async () => {
  const [a, b] = [await putFile('a'), await putFile('b')];
  await run(a, b);
  const list = join(folder, 'cache', 'checksums.jsonl');
  const [first = '', second = ''] = (await readFile(list, 'utf8')).split('\n');
  await writeFile(list, `${first}\n${second.slice(0, 40)}`);
  await run(a, b);
  assert.equal(downloads.length, 3);
  await run(a, b);
  assert.equal(downloads.length, 3);
});

test('looks again at a copy that somebody could not read', async () => {
  const file = await putFile('a');
  const cache = await open();
  await use(cache, file);
  await cache.close();
  await writeFile(join(folder, 'cache', file.key), 'b'.repeat(100));
  assert.equal(await contentOf(cache, file), 'b'.repeat(100));
  cache.doubt(file.key);
  assert.equal(await contentOf(cache, file), 'a'.repeat(100));
});

test('does not trust a copy of another size', async () => {
  const file = await putFile('a');
  await mkdir(join(folder, 'cache', 'tables/main/environment/day=2026-01-01'), { recursive: true });
  await writeFile(join(folder, 'cache', file.key), 'something else');
  const held = await (await open()).acquire([file]);
  assert.equal((await readFile(held.paths.get(file.path) ?? '')).length, 100);
  held.release();
});

test('starts again when its folder was deleted', async () => {
  const file = await putFile('a');
  await run(file);
  await rm(join(folder, 'cache'), { recursive: true });
  await use(await open(), file);
  assert.equal(downloads.length, 2);
});

/** Not while a checksum is being written into it, which deleting would stumble over. */
const deleteFolder = async (cache: FileCache) => {
  await cache.close();
  await rm(join(folder, 'cache'), { recursive: true });
};

test('brings a file again that somebody has deleted', async () => {
  const cache = await open();
  const file = await putFile('a');
  await use(cache, file);
  await deleteFolder(cache);
  const unseen = await cache.acquireUnseen([file], undefined);
  assert.equal(await exists(unseen.paths.get(file.path) ?? ''), false);
  await cache.forgetMissing();
  unseen.release();
  assert.equal(cache.status.bytes, 0);
  (await cache.acquireUnseen([file], undefined)).release();
  await deleteFolder(cache);
  const held = await cache.acquire([file]);
  assert.ok(await exists(held.paths.get(file.path) ?? ''));
  held.release();
  assert.equal(downloads.length, 3);
  assert.deepEqual(cache.status, { files: 1, bytes: 100, bytesMax: 1_000 });
});

test('adopts a file that was made here', async () => {
  const cache = await open();
  const file = await putFile('a');
  await writeFile(join(folder, 'made'), 'a'.repeat(100));
  await cache.adopt(file.key, join(folder, 'made'));
  await use(cache, file);
  assert.deepEqual(downloads, []);
  assert.equal(await exists(join(folder, 'made')), false);
});

test('uses the files of a folder store where they are', async () => {
  const lake = await FolderStore.open(join(folder, 'lake'));
  const cache = await open(1_000, lake);
  const file = await putFile('a', lake);
  const held = await cache.acquire([file]);
  assert.equal(held.paths.get(file.path), lake.localPath(file.key));
  held.release();
  assert.deepEqual(await readdir(join(folder, 'cache')), []);

  await writeFile(join(folder, 'made'), 'b');
  await cache.adopt(file.key, join(folder, 'made'));
  assert.equal(await exists(join(folder, 'made')), false);
});

test('names what is missing or has another size in a folder store', async () => {
  const lake = await FolderStore.open(join(folder, 'lake'));
  const cache = await open(1_000, lake);
  const [a, b] = [await putFile('a', lake), await putFile('b', lake)];
  await lake.delete([a.key]);
  await assert.rejects(
    use(cache, a),
    (error) => isFailure(error, 'object_missing') && error.facts['key'] === a.key,
  );
  await assert.rejects(use(cache, { ...b, bytes: 1 }), (error) => isFailure(error, 'object_corrupt'));
});

test('an estimate ends where it is more than enough', async () => {
  const cache = await open();
  const files = await Promise.all(Array.from({ length: 50 }, (_, index) => putFile(`file-${index + 10}`)));
  assert.equal((await cache.estimate(files, undefined)).bytes, 35_000);
  assert.equal((await cache.estimate(files, undefined, 40_000)).bytes, 35_000);
  const { bytes, storeRequests } = await cache.estimate(files, undefined, 5_000);
  assert.ok(bytes > 5_000 && storeRequests < 20, `${bytes} bytes in ${storeRequests} requests`);
});
