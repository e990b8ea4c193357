import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rename, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileFailure } from './file-failure.js';
import { FolderStore } from './folder-store.js';
import { failsWith, keysOf } from './store-asserts.js';
import { testStore } from './store-conformance.js';

const makeRoot = () => mkdtemp(join(tmpdir(), 'varve-folder-'));

testStore('FolderStore', async () => {
  const root = await makeRoot();
  const store = await FolderStore.open(join(root, 'new', 'lake'));
  return { store, close: () => rm(root, { recursive: true }) };
});

describe('FolderStore', () => {
  let root: string;
  let store: FolderStore;
  const body = Uint8Array.of(1);

  before(async () => {
    root = await makeRoot();
    store = await FolderStore.open(root);
  });
  after(() => rm(root, { recursive: true }));

  it('localPath is the file that holds the bytes', async () => {
    await store.put('local/path', Uint8Array.of(1, 2, 3));
    assert.equal((await stat(store.localPath('local/path'))).size, 3);
  });

  it('keeps no temporary file, whether the key was free or taken', async () => {
    await store.putIfAbsent('clean', body);
    await store.putIfAbsent('clean', body);
    await store.put('clean', body);
    assert.deepEqual(await readdir(join(root, '.tmp')), []);
  });

  it('what is mounted there goes away: unreachable, not empty, and nothing is made in its place', async () => {
    const mountPoint = join(root, 'mount-point');
    const mounted = await FolderStore.open(mountPoint);
    await mounted.put('there', body);
    await rename(mountPoint, `${mountPoint}.away`);
    const requireUnreachable = async () => {
      await failsWith('store_unavailable', mounted.putIfAbsent('some/key', body));
      await failsWith('store_unavailable', mounted.get('there'));
      await failsWith('store_unavailable', mounted.head('there'));
      await failsWith('store_unavailable', keysOf(mounted, ''));
      await failsWith('store_unavailable', FolderStore.open(mountPoint, { mayCreate: false }));
    };
    await requireUnreachable();
    await mkdir(mountPoint);
    await requireUnreachable();
    assert.deepEqual(await readdir(mountPoint), []);
    await rmdir(mountPoint);
    await rename(`${mountPoint}.away`, mountPoint);
    assert.deepEqual([...(await mounted.get('there'))], [1]);
    await (await FolderStore.open(mountPoint, { mayCreate: false })).put('again', body);
  });

  it('delete removes the directories that it empties, and no others', async () => {
    await store.put('prune/a/b/c', body);
    await store.put('prune/other', body);
    await store.delete(['prune/a/b/c']);
    assert.deepEqual(await readdir(join(root, 'prune')), ['other']);
    await store.delete(['prune/other']);
    assert.ok(!(await readdir(root)).includes('prune'));
  });

  it('puts succeed in a directory that deletions keep removing', async () => {
    const putAndDelete = async (name: number) => {
      for (let round = 0; round < 100; round++) {
        assert.equal(await store.putIfAbsent(`vanishing/deep/${name}`, body), 'created');
        await store.delete([`vanishing/deep/${name}`]);
      }
    };
    await Promise.all(Array.from({ length: 32 }, (_, name) => putAndDelete(name)));
  });

  it('opening removes temporary files that are older than an hour, by the clock it is given', async () => {
    const leftover = join(root, '.tmp', 'left-by-a-killed-process');
    await writeFile(leftover, 'x');
    await writeFile(join(root, '.tmp', 'in-use'), 'x');
    await utimes(leftover, new Date(0), new Date(Date.now() - 3_700_000));
    await FolderStore.open(root);
    assert.deepEqual(await readdir(join(root, '.tmp')), ['in-use']);
    await rm(join(root, '.tmp', 'in-use'));
  });

  it('lists objects only: no temporary files, links, directories or names that are no keys', async () => {
    const own = await makeRoot();
    const ownStore = await FolderStore.open(own);
    await writeFile(join(own, '.tmp', 'unfinished'), 'x');
    await writeFile(join(own, 'back\\slash'), 'x');
    await mkdir(join(own, 'empty', 'directory'), { recursive: true });
    await ownStore.put('object', body);
    assert.deepEqual(await keysOf(ownStore, ''), ['object']);
    await rm(own, { recursive: true });
  });

  it('refuses a key below an object and an object where keys lie below, and reads neither', async () => {
    await store.put('clash/object', body);
    await failsWith('key_invalid', store.put('clash/object/below', body));
    await failsWith('key_invalid', store.putIfAbsent('clash/object/below', body));
    await failsWith('key_invalid', store.putIfAbsent('clash', body));
    await failsWith('key_invalid', store.put('clash', body));
    await failsWith('object_missing', store.get('clash'));
    await failsWith('object_missing', store.get('clash', { start: 0, end: 1 }));
    await failsWith('object_missing', store.get('clash/object/below'));
    assert.equal(await store.head('clash'), undefined);
    await store.delete(['clash', 'clash/object/below']);
    assert.deepEqual(await keysOf(store, 'clash'), ['clash/object']);
  });

  it('a root that is a file is no store', async () => {
    await writeFile(join(root, 'file'), 'x');
    await failsWith('key_invalid', FolderStore.open(join(root, 'file', 'lake')));
  });

  it('a file to put that does not exist leaves nothing behind', async () => {
    await failsWith('store_unavailable', store.put('no/source', { path: join(root, 'nowhere') }));
    assert.equal(await store.head('no/source'), undefined);
  });
});

describe('what the operating system says', () => {
  const cases = [
    ['ENOSPC', 'disk_full'],
    ['EDQUOT', 'disk_full'],
    ['EACCES', 'store_denied'],
    ['EPERM', 'store_denied'],
    ['EROFS', 'store_denied'],
    ['ENOTDIR', 'key_invalid'],
    ['ENAMETOOLONG', 'key_invalid'],
    ['EIO', 'store_unavailable'],
    ['EMFILE', 'store_unavailable'],
  ] as const;
  for (const [systemCode, code] of cases)
    it(`${systemCode} is ${code}`, () => {
      const failure = fileFailure(Object.assign(new Error('planted'), { code: systemCode }), 'write x');
      assert.equal(failure.code, code);
      assert.equal(failure.message, 'could not write x: planted');
    });
});
