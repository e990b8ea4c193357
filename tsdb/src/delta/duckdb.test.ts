import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { DuckDb, SqlError } from './duckdb.js';

let folder = '';
let duckDb: DuckDb;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'duckdb-'));
  duckDb = new DuckDb({ tempDir: folder, memoryBytesMax: 256e6, tempBytesMax: 1e9, threads: 2 });
});
after(async () => {
  await duckDb.close();
  await rm(folder, { recursive: true });
});

const failingLate =
  "SELECT CAST(CASE WHEN i = 1900000 THEN 'x' ELSE '1' END AS INT) FROM range(2000000) r(i)";

test('rows that end early are a failure, and the session goes on', async () => {
  await duckDb.withSession(async (session) => {
    let count = 0;
    await assert.rejects(async () => {
      for await (const rows of session.stream(failingLate)) count += rows.length;
    }, SqlError);
    assert.ok(count > 0 && count < 2_000_000);
    assert.deepEqual(await session.rows('SELECT 1 AS one'), [{ one: 1 }]);
  });
});

test('rows may be left untaken', async () => {
  await duckDb.withSession(async (session) => {
    for await (const rows of session.stream('FROM range(10000000)')) {
      assert.ok(rows.length > 0);
      break;
    }
    let sum = 0;
    for await (const rows of session.stream('FROM range(10000)')) sum += rows.length;
    assert.equal(sum, 10_000);
  });
});

test('spills no more than it may', async () => {
  const tempDir = join(folder, 'spill');
  await mkdir(tempDir);
  const tempBytesMax = 10e6;
  const small = new DuckDb({ tempDir, memoryBytesMax: 64e6, tempBytesMax, threads: 1 });
  const sort = 'CREATE TEMP TABLE t AS SELECT md5(i::VARCHAR) AS m, i FROM range(2000000) r(i) ORDER BY ALL';
  let isDone = false;
  const sorted = small
    .withSession((session) => session.run(sort))
    .catch((error: unknown) => error)
    .finally(() => (isDone = true));
  let peak = 0;
  while (!isDone) {
    const files = (await readdir(tempDir)).map((name) =>
      stat(join(tempDir, name)).catch(() => ({ size: 0 })),
    );
    peak = Math.max(peak, ...[(await Promise.all(files)).reduce((sum, { size }) => sum + size, 0)]);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.ok(isFailure(await sorted, 'disk_full'), String(await sorted));
  assert.ok(peak > tempBytesMax / 2 && peak < tempBytesMax * 1.1, `${peak} bytes were spilled`);
  await small.close();
});
