import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Registry } from '@varve/common/metrics.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { CountingStore } from './counting-store.js';

test('counts calls and bytes by operation', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'counting-store-'));
  const registry = new Registry();
  const store = new CountingStore(new MemoryStore(), registry);
  await store.put('a', Buffer.from('abc'));
  assert.equal(await store.putIfAbsent('b', Buffer.from('abcd')), 'created');
  await store.get('a');
  await store.get('b', { start: 0, end: 2 });
  await store.download('b', join(folder, 'b'));
  await store.putIfAbsent('c', { path: join(folder, 'b') });
  await store.head('a');
  for await (const { key } of store.list('a')) assert.equal(key, 'a');
  await store.delete(['a']);
  await assert.rejects(store.get('a'));
  assert.equal(store.localPath('a'), undefined);
  assert.equal(store.url, 'memory');
  store.close();
  await rm(folder, { recursive: true });

  const text = await registry.metrics();
  for (const line of [
    'requests_total{op="put"} 1',
    'requests_total{op="put_if_absent"} 2',
    'requests_total{op="get"} 3',
    'requests_total{op="download"} 1',
    'requests_total{op="head"} 1',
    'requests_total{op="list"} 1',
    'requests_total{op="delete"} 1',
    'bytes_total{op="put"} 3',
    'bytes_total{op="put_if_absent"} 8',
    'bytes_total{op="get"} 5',
    'bytes_total{op="download"} 4',
  ])
    assert.ok(text.includes(`varve_tsdb_store_${line}`), `${line} in\n${text}`);
});
