import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { silentLogger } from '@varve/common/log.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { FileCache } from '../cache/file-cache.js';
import { openQueryEngine } from './open-query-engine.js';
import { QueryFixture } from './query.test.fixture.js';

test('answers from copies where the store is elsewhere, also when there is room for none', async () => {
  const fixture = await QueryFixture.open();
  await fixture.put({
    table: 'environment',
    files: [
      "select timestamptz '2026-01-01 00:00:00Z' + to_minutes(i) as time, date '2026-01-01' as day from range(100) r(i)",
      "select timestamptz '2026-01-02 00:00:00Z' + to_minutes(i) as time, date '2026-01-02' as day from range(100) r(i)",
    ],
  });
  const faraway = new MemoryStore();
  for (const snapshot of fixture.current())
    for (const { key } of snapshot.files.values())
      await faraway.put(key, { path: fixture.store.localPath(key) }).catch(() => undefined);
  const other = await QueryFixture.open();
  const log = silentLogger();
  const { registry } = other;
  const cache = join(other.folder, 'cache');
  const dataFiles = await FileCache.open({ store: faraway, folder: cache, bytesMax: 1, log, registry });
  const engine = await openQueryEngine({
    catalog: fixture,
    dataFiles,
    dataDir: join(other.folder, 'data'),
    readableFolders: [cache],
    memoryBytesMax: 500e6,
    spillBytesMax: 1e9,
    clock: systemClock,
    log,
    registry,
  });
  for (let round = 0; round < 3; round++) {
    const answer = await engine.query(
      { sql: 'select count(*)::int as n from environment' },
      new AbortController().signal,
    );
    assert.ok(dataFiles.status.bytes > 1);
    for await (const { chunk } of answer.batches()) assert.deepEqual(chunk.getColumnValues(0), [200]);
    await answer.close();
    assert.equal(dataFiles.status.bytes, 0);
  }
  await engine.close();
  await other.close();
  await fixture.close();
});
