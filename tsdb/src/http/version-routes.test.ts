/** What a table was, over HTTP: versions, `as_of` of every sort of question, and restore. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import { tableFromIPC } from 'apache-arrow';
import { noonUs } from '../ingest/lake.test.fixture.js';
import { openLakeServer, type LakeServer } from './lake-server.test.fixture.js';

let server: LakeServer;
/** Between versions 1 and 2. */
let between: string;
const ask = async (path: string) => await server.ask(path);
const row = (minute: number, v: number, more = {}) => ({
  ...{ time: noonUs + minute * 60_000_000, device: `dev-${minute % 2}`, v },
  ...more,
});

before(async () => {
  server = await openLakeServer();
  await server.take({ seq: 1, rows: [row(0, 1)] });
  await server.take({ seq: 2, rows: [row(1, 10)] });
  // The store's clock counts milliseconds.
  await sleep(20);
  between = encodeURIComponent(new Date().toISOString());
  await sleep(20);
  // The value of the first row is another one then, its file replaced, and there is a new column.
  await server.take({ seq: 3, rows: [row(0, 100, { w: 7 })], types: { v: 'double', w: 'double' } });
});
after(() => server.close());

test('versions, newest first, page by page', async () => {
  const { body } = await ask('tables/climate/versions');
  const versions = body['versions'] as Record<string, unknown>[];
  assert.deepEqual(
    versions.map(({ version, operation, pinned }) => [version, operation, pinned]),
    [
      [2, 'MERGE', false],
      [1, 'STREAMING UPDATE', false],
      [0, 'STREAMING UPDATE', false],
    ],
  );
  assert.deepEqual([body['table'], body['oldest_readable'], body['pinned']], ['climate', 0, []]);
  for (const { time } of versions) assert.ok(Math.abs(Date.now() - Date.parse(String(time))) < 60_000);
  const page = (await ask('tables/main.climate/versions?limit=1&before=2')).body;
  assert.deepEqual(
    (page['versions'] as { version: number }[]).map(({ version }) => version),
    [1],
  );
});

const sums: [asOf: () => string, sum: number][] = [
  [() => '', 110],
  [() => '&as_of=2', 110],
  [() => '&as_of=1', 11],
  [() => '&as_of=0', 1],
  [() => `&as_of=${between}`, 11],
];
for (const [index, [asOf, sum]] of sums.entries()) {
  test(`SQL as of a version or a time, ${index}`, async () => {
    const { body } = await ask(`query?sql=select+sum(v)+from+climate${asOf()}`);
    assert.deepEqual(body.rows, [[sum]]);
  });

  test(`a range as of a version or a time, ${index}`, async () => {
    const window = 'start=2026-03-01T12:00:00Z&end=2026-03-01T13:00:00Z';
    const { body } = await ask(`tables/climate/range?${window}${asOf()}`);
    assert.equal(
      body.rows?.reduce((total, cells) => total + Number(cells[2]), 0),
      sum,
    );
    const wide = body['columns'] as { name: string }[];
    assert.equal(
      wide.some(({ name }) => name === 'w'),
      sum === 110,
      'the columns of then',
    );
  });

  test(`the newest rows as of a version or a time, ${index}`, async () => {
    const { body } = await ask(`tables/climate/latest?columns=v${asOf()}`);
    assert.equal(
      body.rows?.reduce((total, cells) => total + Number(cells[2]), 0),
      sum,
    );
  });
}

test('ages are those of then where a time is asked for', async () => {
  const asOf = new Date().toISOString();
  const path = `tables/climate/latest?columns=v&device=dev-0&stale_after=1s&as_of=${asOf}`;
  const { body } = await ask(path);
  const [[, , , age, stale] = []] = body.rows ?? [];
  assert.deepEqual(
    [age, stale],
    [Date.parse(asOf) - noonUs / 1_000, Date.parse(asOf) - noonUs / 1_000 > 1_000],
  );
});

test('the newest rows in other formats and looks', async () => {
  const path = 'tables/climate/latest?columns=v&device=dev-1';
  const csv = await ask(`${path}&format=csv&time_format=ms`);
  assert.match(csv.text, /^time,device,v,age_ms,stale\r\n1772366460000,dev-1,10,-?\d+,\r\n$/);
  assert.match((await ask(`${path}&tz=Asia/Kolkata`)).text, /2026-03-01T17:31:00\+05:30/);
  assert.equal((await server.ask(path, { headers: { accept: 'text/csv' } })).text.split(',')[0], 'time');
  const estimate = (await ask(`${path}&dry_run=true`)).body;
  assert.equal(typeof estimate['files'], 'number');
  // As the register has them and as SQL does, the rows are the same.
  const rowsOf = async (more: string) =>
    (await ask(`${path}${more}`)).body.rows?.map((cells) => cells.slice(0, 3));
  assert.deepEqual(await rowsOf('&tz=UTC'), await rowsOf(''));
  const arrow = await fetchBytes(`${path}&format=arrow`);
  assert.equal(tableFromIPC(arrow).getChild('v')?.get(0), 10);
});

async function fetchBytes(path: string): Promise<Uint8Array> {
  const { url } = server;
  return new Uint8Array(await (await fetch(`${url}/api/v1/${path}`)).arrayBuffer());
}

const refused: [path: string, status: number, code: string][] = [
  ['query?sql=from+climate&as_of=9', 404, 'version_not_found'],
  ['tables/climate/range?as_of=9', 404, 'version_not_found'],
  ['tables/climate/latest?as_of=9', 404, 'version_not_found'],
  ['tables/climate/latest?as_of=2001-01-01T00:00:00Z', 404, 'version_not_found'],
  ['tables/climate/latest?as_of=yesterday', 400, 'bad_param'],
  ['tables/climate/range?as_of=yesterday', 400, 'bad_param'],
  ['tables/climate/latest?as_of=1&as_of=2', 400, 'bad_param'],
  ['tables/climate/latest?columns=w&as_of=1', 400, 'bad_param'],
  ['tables/climate/latest?format=xml', 400, 'bad_param'],
  ['tables/none/latest?as_of=1', 404, 'table_not_found'],
  ['tables/none/versions', 404, 'table_not_found'],
  ['tables/climate/versions?limit=0', 400, 'bad_param'],
  ['tables/climate/versions?limit=1001', 400, 'bad_param'],
  ['tables/climate/versions?before=x', 400, 'bad_param'],
  ['tables/climate/versions?after=1', 400, 'bad_param'],
];
for (const [path, status, code] of refused)
  test(`refuses ${path}`, async () => {
    const answer = await ask(path);
    assert.deepEqual([answer.status, answer.body['code']], [status, code], answer.text);
  });

const wrongRestores: [body: unknown, status: number, code: string][] = [
  [{}, 400, 'bad_param'],
  [{ version: '1' }, 400, 'bad_param'],
  [{ version: -1 }, 400, 'bad_param'],
  [{ version: 1, force: true }, 400, 'bad_param'],
  [[1], 400, 'bad_param'],
  [{ version: 9 }, 404, 'version_not_found'],
];
for (const [body, status, code] of wrongRestores)
  test(`refuses to restore ${JSON.stringify(body)}`, async () => {
    const answer = await server.post('tables/climate/restore', body);
    assert.deepEqual([answer.status, answer.body['code']], [status, code], answer.text);
  });

test('a token restores what it may write, and a table that it may not see is not there', async () => {
  const guarded = await openLakeServer({ hasTokens: true });
  const [reader, writer, other] = [
    await guarded.token('read:climate'),
    await guarded.token('write:climate'),
    await guarded.token('admin:energy'),
  ];
  await guarded.take({ seq: 1, rows: [row(0, 1)] });
  const versions = (token: string) =>
    guarded.ask('tables/climate/versions', { headers: { authorization: `Bearer ${token}` } });
  const restore = (token: string) => guarded.post('tables/climate/restore', { version: 0 }, token);
  assert.deepEqual([(await versions(reader)).status, (await versions(writer)).status], [200, 200]);
  const hidden = await versions(other);
  assert.equal(hidden.body['code'], 'table_not_found', hidden.text);
  assert.deepEqual([(await restore(reader)).status, (await restore(writer)).status], [403, 200]);
  assert.equal((await restore(other)).body['code'], 'table_not_found');
  assert.equal((await guarded.ask('tables/climate/versions')).status, 401);
  await guarded.close();
});

test('a restore is tried, done, seen by every question, and undone by another', async () => {
  const restore = async (body: unknown) => (await server.post('tables/climate/restore', body)).body;
  const sum = async () => (await ask('query?sql=select+sum(v)+from+climate')).body.rows;
  const tried = await restore({ version: 1, dry_run: true });
  assert.deepEqual([tried['dry_run'], tried['new_version'], await sum()], [true, null, [[110]]]);
  const done = await restore({ version: 1 });
  assert.deepEqual(
    [done['version'], done['new_version'], done['rows_after'], await sum()],
    [1, 3, 2, [[11]]],
  );
  const newest = (await ask('tables/climate/latest')).body.rows ?? [];
  assert.deepEqual(
    newest.map((cells) => cells[2]),
    [1, 10],
  );
  assert.equal((await restore({ version: 1 }))['new_version'], null, 'there is nothing to do');
  assert.equal((await restore({ version: 2 }))['new_version'], 4);
  assert.deepEqual(await sum(), [[110]]);
});

// The last one: it deletes files.
test('of a version whose files were vacuumed everything says that it is gone', async () => {
  await server.vacuumAll();
  for (const path of [
    'query?sql=select+sum(v)+from+climate&as_of=0',
    'tables/climate/range?start=2026-03-01T12:00:00Z&end=2026-03-01T13:00:00Z&as_of=0',
    'tables/climate/latest?as_of=0',
  ]) {
    const { status, body } = await ask(path);
    assert.deepEqual([status, body['code']], [410, 'version_expired'], path);
    assert.ok(body['hint'], path);
  }
  const { status, body } = await server.post('tables/climate/restore', { version: 0 });
  assert.deepEqual([status, body['code']], [410, 'version_expired']);
  assert.equal((body['files'] as string[]).length, 1);
  assert.deepEqual((await ask('query?sql=select+sum(v)+from+climate')).body.rows, [[110]]);
});
