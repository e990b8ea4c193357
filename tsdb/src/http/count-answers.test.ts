/** `select count(*)`, which the log answers: as DuckDB does, in every format and at every version. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tableFromIPC } from 'apache-arrow';
import { noonUs } from '../ingest/lake.test.fixture.js';
import { openLakeServer, type LakeServer } from './lake-server.test.fixture.js';

const counted = 'select count(*) as n from climate';
/** The same, read by DuckDB. */
const read = `${counted} where true`;

let server: LakeServer;

before(async () => {
  server = await openLakeServer();
  const row = (minute: number) => ({ time: noonUs + minute * 60_000_000, device: 'dev-1', v: minute });
  await server.take({ seq: 1, rows: [row(0), row(1)] });
  // One of these was there before, so that a file is replaced.
  await server.take({ seq: 2, rows: [row(1), row(2), row(3)] });
});
after(() => server.close());

async function ask(sql: string, more: Readonly<Record<string, string>> = {}) {
  const query = new URLSearchParams({ sql, ...more }).toString();
  const { status, text, body } = await server.ask(`query?${query}`);
  assert.equal(status, 200, text);
  return { text, body, query };
}

for (const format of ['csv', 'jsonl', 'pretty'])
  test(`a count as ${format}`, async () => {
    assert.equal((await ask(counted, { format })).text, (await ask(read, { format })).text);
  });

test('a count as JSON and Arrow, of which nothing is read', async () => {
  const [{ body: found }, { body: expected }] = [await ask(counted), await ask(read)];
  for (const part of ['columns', 'rows', 'row_count', 'truncated'])
    assert.deepEqual(found[part], expected[part]);
  assert.deepEqual([found.rows, (found['stats'] as { bytes: number }).bytes], [[[4]], 0]);
  assert.ok((expected['stats'] as { bytes: number }).bytes > 0);
  const { query } = await ask(counted, { format: 'arrow' });
  const table = tableFromIPC(await (await fetch(`${server.url}/api/v1/query?${query}`)).arrayBuffer());
  assert.equal(String(table.schema.fields[0]?.type), 'Int64');
  assert.equal(table.getChildAt(0)?.get(0), 4n);
});

test('a count as of a version', async () => {
  for (const [as_of, count] of [
    ['0', 2],
    ['1', 4],
  ] as const) {
    assert.deepEqual((await ask(counted, { as_of })).body.rows, [[count]]);
    assert.deepEqual((await ask(read, { as_of })).body.rows, [[count]]);
  }
});

test('a count costs nothing', async () => {
  const { body } = await ask(counted, { dry_run: 'true' });
  assert.deepEqual({ ...body, files: 0, bytes: 0, store_requests: 0, rows: 0 }, body);
  assert.ok(Number((await ask(read, { dry_run: 'true' })).body['bytes']) > 0);
});
