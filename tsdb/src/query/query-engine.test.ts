import assert from 'node:assert/strict';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { isFailure, type FailureCode } from '@varve/common/errors.js';
import type { QueryRequest } from './query-engine.js';
import { waitingMax } from './query-lanes.js';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';

const nobody = new AbortController().signal;
let fixture: QueryFixture;

before(async () => {
  fixture = await QueryFixture.open();
  await fixture.put({
    table: 'environment',
    version: 7,
    tags: ['device'],
    fields: { humidity: 'double', note: 'string', ok: 'boolean', starts: 'long', temp: 'double' },
    files: [
      // An old file: fewer columns, and a double that is stored as a decimal.
      `select timestamptz '2026-01-01 00:00:00Z' + to_minutes(i) as time, 'dev' || (i % 3) as device,
       cast(i / 4 as decimal(9, 2)) as temp, date '2026-01-01' as day from range(100) r(i)`,
      `select timestamptz '2026-01-02 00:00:00Z' + to_minutes(i) as time, 'dev' || (i % 3) as device, 0.5 + i as humidity,
       true as ok, i as starts, i / 4 as temp, date '2026-01-02' as day from range(100) r(i)`,
    ],
  });
  await fixture.put({ table: 'empty', tags: ['device'], fields: { temp: 'double', count: 'long' } });
  await fixture.put({
    database: 'lab',
    table: 'runs',
    files: ["select timestamptz '2026-01-01 00:00:00Z' as time, date '2026-01-01' as day"],
  });
  await fixture.startEngine();
});
after(() => fixture.close());

interface Answer {
  columns: { name: string; type: string }[];
  rows: unknown[][];
  row_count: number;
  truncated: boolean;
  stats: { elapsed_ms: number; files: number; table_versions: Record<string, number> };
}

async function ask(request: QueryRequest | string, client = nobody): Promise<Answer> {
  const answer = await fixture.engine.query(typeof request === 'string' ? { sql: request } : request, client);
  let text = '';
  for await (const piece of renderAnswer(answer)) text += Buffer.from(piece).toString();
  return JSON.parse(text) as Answer;
}

const rowsOf = async (request: QueryRequest | string) => (await ask(request)).rows;

async function rejects(request: QueryRequest | string, code: FailureCode, facts: object = {}): Promise<void> {
  await assert.rejects(ask(request), (error) => {
    assert.ok(isFailure(error, code), String(error));
    assert.deepEqual({ ...error.facts, ...facts }, error.facts);
    return true;
  });
}

test('answers over files with different columns', async () => {
  const answer = await ask("select * from environment where device = 'dev1' order by time limit 1");
  assert.deepEqual(answer.columns, [
    { name: 'time', type: 'timestamp[us, UTC]' },
    { name: 'device', type: 'string' },
    { name: 'humidity', type: 'double' },
    { name: 'note', type: 'string' },
    { name: 'ok', type: 'bool' },
    { name: 'starts', type: 'int64' },
    { name: 'temp', type: 'double' },
    { name: 'day', type: 'date' },
  ]);
  assert.deepEqual(answer.rows, [
    ['2026-01-01T00:01:00Z', 'dev1', null, null, null, null, 0.25, '2026-01-01'],
  ]);
  assert.equal(answer.stats.files, 2);
  assert.deepEqual(answer.stats.table_versions, { environment: 7 });
});

test('answers aggregates over all files', async () => {
  assert.deepEqual(await rowsOf('select count(*), sum(temp), sum(starts), count(note) from environment'), [
    [200, 2475, 4950, 0],
  ]);
});

test('a table without files has columns of the right types', async () => {
  const { columns, rows } = await ask('select time, device, temp, count from empty');
  assert.deepEqual(
    columns.map(({ type }) => type),
    ['timestamp[us, UTC]', 'string', 'double', 'int64'],
  );
  assert.deepEqual(rows, []);
});

test('finds tables of other databases by their full name only', async () => {
  assert.deepEqual(await rowsOf('select time from lab.runs'), [['2026-01-01T00:00:00Z']]);
  await rejects('select time from runs', 'table_not_found', { tables: ['environment', 'empty', 'lab.runs'] });
});

test('binds parameters by number and by name', async () => {
  assert.deepEqual(
    await rowsOf({
      sql: 'select count(*) from environment where time >= $1 and device = $2',
      params: ['2026-01-02T00:00:00Z', 'dev0'],
    }),
    [[34]],
  );
  assert.deepEqual(
    await rowsOf({
      sql: 'select count(*) from environment where device = any($devices) and temp > $temp',
      params: { devices: ['dev0', 'dev1'], temp: 20 },
    }),
    [[26]],
  );
});

test('names the parameters that do not match', async () => {
  await rejects({ sql: 'select $1, $2', params: [1] }, 'bad_param', { missing: ['2'], unknown: [] });
  await rejects({ sql: 'select $a', params: { b: 1 } }, 'bad_param', { missing: ['a'], unknown: ['b'] });
});

test('cuts off what is more than was asked for, and says so', async () => {
  const cut = await ask({ sql: 'from range(5000)', rowsMax: 3_000 });
  assert.deepEqual([cut.row_count, cut.rows.length, cut.truncated], [3_000, 3_000, true]);
  const exact = await ask({ sql: 'from range(5000)', rowsMax: 5_000 });
  assert.deepEqual([exact.row_count, exact.truncated], [5_000, false]);
  assert.equal((await ask({ sql: 'select 1 where false', rowsMax: 1 })).truncated, false);
  assert.equal((await ask('from range(20000)')).row_count, 10_000);
});

test('says where names are wrong, in characters', async () => {
  await rejects("select 'é',\n tem from environment", 'sql_invalid', {
    position: 14,
    line: 2,
    column: 2,
  });
  await rejects('select * form environment', 'sql_syntax', { position: 15, line: 1, column: 15 });
  // What is run of it is another text.
  await rejects('select hour(time), tem from environment', 'sql_invalid', {
    position: 20,
    line: 1,
    column: 20,
  });
});

test('rounds times as they are written', async () => {
  const hours =
    "select time_bucket('1 hour', time), count(*) from environment group by all order by 1 limit 2";
  const { columns, rows } = await ask(hours);
  assert.deepEqual(columns[0], { name: `time_bucket('1 hour', "time")`, type: 'timestamp[us, UTC]' });
  assert.deepEqual(rows, [
    ['2026-01-01T00:00:00Z', 60],
    ['2026-01-01T01:00:00Z', 40],
  ]);
});

test('says what value cannot be converted', () =>
  rejects('select cast(device as int) from environment', 'sql_invalid', { position: 8 }));

test('a failure among the first rows is a failure, not a short answer', async () => {
  await rejects(
    "select cast(case when i = 90000 then 'x' else '1' end as int) from range(100000) r(i)",
    'sql_invalid',
  );
});

test('a failure after many rows breaks the answer off', async () => {
  await rejects(
    {
      sql: "select i, cast(case when i = 900000 then 'x' else '1' end as int) from range(1000000) r(i)",
      rowsMax: 1_000_000,
    },
    'query_failed',
  );
});

test('a failure behind rows that are taken slowly waits for whoever takes them', async () => {
  const sql = "select i, cast(case when i = 900000 then 'x' else '1' end as int) from range(1000000) r(i)";
  const answer = await fixture.engine.query({ sql, rowsMax: 1_000_000 }, nobody);
  await assert.rejects(
    async () => {
      for await (const { rowCount } of answer.batches()) {
        assert.ok(rowCount > 0);
        await new Promise((resolve) => setTimeout(resolve, answer.rowCount > 500_000 ? 5 : 0));
      }
    },
    (error) => isFailure(error, 'query_failed'),
  );
  await answer.close();
  assert.deepEqual(fixture.engine.status, { running: 0, waiting: 0 });
});

test('interrupts a query that takes too long, and goes on', async () => {
  await rejects({ sql: 'select count(*) from range(1000000000000)', timeoutMs: 100 }, 'query_timeout');
  assert.deepEqual(await rowsOf('select 1'), [[1]]);
});

test('interrupts a query whose answer is taken too slowly', async () => {
  const answer = await fixture.engine.query(
    { sql: 'from range(100000000)', rowsMax: 1e9, timeoutMs: 200 },
    nobody,
  );
  await assert.rejects(
    async () => {
      for await (const { rowCount } of answer.batches()) {
        assert.ok(rowCount > 0);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    (error) => isFailure(error, 'query_timeout'),
  );
  await answer.close();
});

test('ends a query whose client went away', async () => {
  const client = new AbortController();
  const asked = ask('select count(*) from range(1000000000000)', client.signal);
  setTimeout(() => client.abort(), 50);
  await assert.rejects(asked, (error) => isFailure(error, 'query_cancelled'));
  assert.deepEqual(fixture.engine.status, { running: 0, waiting: 0 });
});

test('an answer that is not taken to its end gives everything back', async () => {
  for (let round = 0; round < 20; round++) {
    const answer = await fixture.engine.query({ sql: 'from range(1000000)' }, nobody);
    for await (const { rowCount } of answer.batches()) {
      assert.ok(rowCount > 0);
      break;
    }
    await answer.close();
    await answer.close();
  }
  assert.deepEqual(fixture.engine.status, { running: 0, waiting: 0 });
});

test('turns queries away when too many wait', async () => {
  // Eight quick ones run; a second later eight more may.
  const clients = Array.from({ length: waitingMax + 16 }, () => new AbortController());
  const slow = clients.map(({ signal }) =>
    ask('select count(*) from range(1000000000000)', signal).catch((error: unknown) => error),
  );
  const turnedAway = ask('select 1').catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 200));
  for (const client of clients) client.abort();
  assert.ok(isFailure(await turnedAway, 'overloaded'));
  for (const outcome of await Promise.all(slow))
    assert.ok(isFailure(outcome, 'query_cancelled') || isFailure(outcome, 'overloaded'), String(outcome));
  assert.deepEqual(await rowsOf('select 1'), [[1]]);
});

test('a query that needs too much memory fails alone', async () => {
  await rejects('select list(i) from range(1000000000) r(i)', 'memory_limit_exceeded');
  assert.deepEqual(await rowsOf('select 1'), [[1]]);
});

test('queries at different versions do not disturb each other', async () => {
  const file = (value: number) =>
    `select timestamptz '2026-01-01 00:00:00Z' as time, ${value} as v, date '2026-01-01' as day from range(3000)`;
  await fixture.put({ table: 'changing', version: 0, fields: { v: 'long' }, files: [file(0)] });
  const old = await fixture.engine.query({ sql: 'select v from changing' }, nobody);
  await fixture.put({
    table: 'changing',
    version: 1,
    fields: { v: 'long', w: 'double' },
    files: [file(1), file(2)],
  });
  assert.deepEqual(await rowsOf('select sum(v), count(w), count(*) from changing'), [[9000, 0, 6000]]);
  let sum = 0;
  for await (const { rowCount, vectorAt } of old.batches())
    for (let row = 0; row < rowCount; row++) sum += Number(vectorAt(0).getItem(row));
  await old.close();
  assert.equal(sum, 0);
  // In the place that the old one has left, and at the version of now.
  assert.deepEqual(await rowsOf('select sum(v) from changing'), [[9000]]);
});

test('the same text is answered from the files of now, and with the values of now', async () => {
  const file = (value: number) =>
    `select timestamptz '2026-01-01 00:00:00Z' as time, ${value} as v, date '2026-01-01' as day`;
  const sums: unknown[] = [];
  for (const version of [0, 1, 2]) {
    const files = [1, 10, 100].slice(0, version + 1).map(file);
    await fixture.put({ table: 'growing', version, fields: { v: 'long' }, files });
    for (const least of [0, 5])
      sums.push(
        await rowsOf({ sql: 'select coalesce(sum(v), 0)::int from growing where v > ?', params: [least] }),
      );
  }
  assert.deepEqual(sums.flat(2), [1, 0, 11, 10, 111, 110]);
  // Another type of the same parameter.
  assert.deepEqual(
    await rowsOf({ sql: 'select coalesce(sum(v), 0)::int from growing where v > ?', params: [10.5] }),
    [[100]],
  );
  const first = await rowsOf('select now()');
  assert.notDeepEqual(await rowsOf('select now()'), first);
});

test('a question without a table is answered each time', async () => {
  const numbers = '(select 1 as one, i from range(100) r(i))';
  const asof = `select count(b.i), max(b.i) from ${numbers} a asof join ${numbers} b on a.one = b.one and a.i >= b.i`;
  for (let time = 0; time < 3; time++) assert.deepEqual(await rowsOf(asof), [[100, 99]]);
});

test('answers as of an earlier version', async () => {
  const file = (value: number) =>
    `select timestamptz '2026-01-01 00:00:00Z' as time, ${value} as v, date '2026-01-01' as day`;
  await fixture.put({ table: 'past', version: 4, fields: { v: 'long' }, files: [file(1)] });
  await fixture.put({ table: 'past', version: 5, fields: { v: 'long' }, files: [file(1), file(2)] });
  const sql = 'select sum(v)::int from past';
  assert.deepEqual(await rowsOf({ sql, asOf: { version: 4 } }), [[1]]);
  assert.deepEqual(await rowsOf(sql), [[3]]);
  await rejects({ sql, asOf: { version: 3 } }, 'version_not_found');
  await rejects({ sql: 'select 1 from past, environment', asOf: { version: 4 } }, 'bad_param');
  const { answerTag } = await fixture.engine.plan({ sql, asOf: { version: 4 } });
  assert.notEqual(answerTag, (await fixture.engine.plan({ sql })).answerTag);
});

test('quick queries are answered while slow ones have all places of theirs', async () => {
  const client = new AbortController();
  // Whoever takes all rows is slow; DuckDB gives the first ones only when it has looked at all.
  const slow = { sql: 'select max(i) from range(1000000000000) r(i)', rowsMax: Number.POSITIVE_INFINITY };
  const running = Array.from({ length: 10 }, () => fixture.engine.query(slow, client.signal).catch(String));
  while (fixture.engine.status.running < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  for (let round = 0; round < 20; round++)
    assert.deepEqual(await rowsOf('select count(*) from environment'), [[200]]);
  assert.equal(fixture.engine.status.running, 3);
  assert.equal(fixture.engine.status.waiting, 7);
  client.abort();
  await Promise.all(running);
});

test('names the object that is missing, and other tables go on', async () => {
  const { files } = await fixture.put({
    table: 'lost',
    files: ["select timestamptz '2026-01-01 00:00:00Z' as time, date '2026-01-01' as day"],
  });
  const [file] = files.values();
  await rm(fixture.store.localPath(file?.key ?? ''));
  await rejects('from lost', 'object_missing', { key: file?.key });
  assert.deepEqual(await rowsOf('select count(*) from environment'), [[200]]);
});

test('names the object that is missing since it was last read', async () => {
  const { files } = await fixture.put({
    table: 'vanished',
    files: ["select timestamptz '2026-01-01 00:00:00Z' as time, date '2026-01-01' as day"],
  });
  await ask('from vanished');
  const [file] = files.values();
  await rm(fixture.store.localPath(file?.key ?? ''));
  await rejects('from vanished', 'object_missing', { key: file?.key });
});

test('names the object whose bytes are damaged', async () => {
  const { files } = await fixture.put({
    table: 'damaged',
    files: ["select timestamptz '2026-01-01 00:00:00Z' as time, date '2026-01-01' as day"],
  });
  const [file] = files.values();
  const path = fixture.store.localPath(file?.key ?? '');
  await truncate(path, 0);
  await writeFile(path, Buffer.alloc(file?.bytes ?? 0, 'x'));
  await rejects('from damaged', 'object_corrupt', { key: file?.key });
});

test('measures queries', async () => {
  await ask('select 1');
  assert.match(await fixture.registry.metrics(), /varve_tsdb_query_seconds_count [1-9]/);
});

test('ends what runs when it is closed', async () => {
  const other = await QueryFixture.open();
  const engine = await other.startEngine();
  const running = engine
    .query({ sql: 'select count(*) from range(1000000000000)' }, nobody)
    .catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await other.close();
  assert.ok(isFailure(await running, 'stopping'));
  await assert.rejects(engine.query({ sql: 'select 1' }, nobody), (error) => isFailure(error, 'stopping'));
});
