import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
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
