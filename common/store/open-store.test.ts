import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { probeKey } from '../contract/object-keys.js';
import { openStore } from './open-store.js';
import { keysOf } from './store-asserts.js';

it('openStore opens a folder, proven and empty', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'varve-open-'));
  const url = join(directory, 'lake');
  const store = await openStore({ url, pathStyle: false }, { access: 'full', probeKey });
  assert.equal(store.url, url);
  assert.equal(store.localPath('a/b'), join(url, 'a', 'b'));
  assert.deepEqual(await keysOf(store, ''), []);
  store.close();
  await rm(directory, { recursive: true });
});
