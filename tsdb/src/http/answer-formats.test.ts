import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import { systemClock } from '@varve/common/clock.js';
import { formatListenAddress, type ListenAddress } from '@varve/common/config/listen-address.js';
import { listen, type FastifyInstance } from './http-server.js';
import { isFailure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { QueryFixture, type FixtureTable } from '../query/query.test.fixture.js';
import { renderAnswer } from '../query/render-answer.js';
import { createTsdbServer } from './tsdb-server.js';

let fixture: QueryFixture;
let server: FastifyInstance;
let address: ListenAddress;

const environment = (version: number): FixtureTable => ({
  table: 'environment',
  version,
  tags: ['device'],
  fields: { temp: 'double', parts: 'long', ok: 'boolean' },
  files: [0, 1].map(
    (hour) => `select timestamptz '2026-01-01 00:00:00Z' + to_hours(${hour}) + to_seconds(i) as time,
      case i when 1 then null else 'dev' || i end as device, [1.5, 'nan'::double, 'inf'::double][i + 1] as temp,
      9007199254740993 + i as parts, i = 0 as ok, date '2026-01-01' as day from range(3) r(i)`,
  ),
});

before(async () => {
  fixture = await QueryFixture.open();
  await fixture.put(environment(3));
  await fixture.put({
    database: 'lab',
    table: 'runs',
    files: ["select timestamptz '2026-01-01 00:00:00Z' as time, date '2026-01-01' as day"],
  });
  server = createTsdbServer({
    version: '1.2.3',
    startedMs: systemClock.nowMs(),
    clock: systemClock,
    store: new MemoryStore(),
    catalog: fixture,
    engine: await fixture.startEngine(),
    parts: {},
    log: silentLogger(),
    registry: fixture.registry,
  });
  address = await listen(server, { host: '127.0.0.1', port: 0 }, 'listen');
});
after(async () => {
  await server.close();
  await fixture.close();
});

const url = (path: string) => `http://${formatListenAddress(address)}${path}`;
const get = (query: Record<string, string>, headers: Record<string, string> = {}) =>
  fetch(url(`/api/v1/query?${new URLSearchParams(query).toString()}`), { headers });
const textOf = async (query: Record<string, string>, headers?: Record<string, string>) =>
  await (await get(query, headers)).text();

const firstHour = `select time, device, temp, parts, ok from environment where time < '2026-01-01 00:30' order by time`;

test('CSV as RFC 4180 says, typed', async () => {
  assert.equal(
    await textOf({ sql: firstHour, format: 'csv' }),
    'time,device,temp,parts,ok\r\n2026-01-01T00:00:00Z,dev0,1.5,9007199254740993,true\r\n' +
      '2026-01-01T00:00:01Z,,,9007199254740994,false\r\n2026-01-01T00:00:02Z,dev2,,9007199254740995,false\r\n',
  );
  const sql = `select 'a,"b"' as "x,y", e'line\\nbreak' as z, '' as empty, null as n, [1, 2] as l, {'a': 'b'} as s`;
  assert.equal(
    await textOf({ sql, format: 'csv', header: 'false' }),
    '"a,""b""","line\nbreak","",,"[1,2]","{""a"":""b""}"\r\n',
  );
});

test('JSON lines, with times and integers as they are wanted', async () => {
  const sql = `select time, parts from environment where device = 'dev0' order by time limit 1`;
  const line = async (query: Record<string, string>) => await textOf({ sql, format: 'jsonl', ...query });
  assert.equal(await line({}), '{"time":"2026-01-01T00:00:00Z","parts":"9007199254740993"}\n');
  assert.equal(
    await line({ time_format: 'ms', int64: 'number' }),
    '{"time":1767225600000,"parts":9007199254740993}\n',
  );
  assert.equal(
    await line({ tz: 'Asia/Kolkata' }),
    '{"time":"2026-01-01T05:30:00+05:30","parts":"9007199254740993"}\n',
  );
});

test('a table for eyes', async () => {
  assert.equal(
    await textOf({ sql: "select 1 as n, 'long text' as t", format: 'pretty' }),
    'n  t\n-  ---------\n1  long text\n(1 row)\n',
  );
});

test('an Arrow stream has the types, values and nulls', async () => {
  const sql = `select *, 1.25::decimal(9, 2) as d, 170141183460469231731687303715884105727::hugeint as h, -2::tinyint as t,
    [1, null] as l, 'x'::blob as b from environment order by time`;
  const response = await get({ sql }, { accept: 'application/vnd.apache.arrow.stream' });
  assert.equal(response.headers.get('content-type'), 'application/vnd.apache.arrow.stream');
  const table = tableFromIPC(new Uint8Array(await response.arrayBuffer()));
  assert.equal(
    table.schema.fields.map(({ name, type }) => `${name} ${String(type)}`).join(', '),
    'time Timestamp<MICROSECOND, UTC>, device Utf8, temp Float64, parts Int64, ok Bool, day Date32<DAY>, ' +
      'd Decimal[9e+2], h Decimal[38e0], t Int8, l Utf8, b Binary',
  );
  assert.equal(table.numRows, 6);
  const column = (name: string) => ([...(table.getChild(name) ?? [])] as unknown[]).slice(0, 3);
  assert.deepEqual(column('device'), ['dev0', null, 'dev2']);
  assert.deepEqual(column('temp'), [1.5, Number.NaN, Number.POSITIVE_INFINITY]);
  assert.deepEqual(column('parts'), [9007199254740993n, 9007199254740994n, 9007199254740995n]);
  assert.deepEqual(column('ok'), [true, false, false]);
  assert.deepEqual(
    column('time'),
    [0, 1, 2].map((second) => Date.parse('2026-01-01T00:00:00Z') + second * 1_000),
  );
  assert.deepEqual(column('l')[0], '[1,null]');
});

test('Parquet is read by DuckDB as it was asked for', async () => {
  const response = await get({ sql: `${firstHour} -- all of it`, format: 'parquet' });
  assert.equal(response.headers.get('content-type'), 'application/vnd.apache.parquet');
  const path = join(fixture.folder, 'answer.parquet');
  await writeFile(path, new Uint8Array(await response.arrayBuffer()));
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const reader = await connection.runAndReadAll(
    `select column_name || ' ' || column_type from (describe from '${path}') union all select count(*)::varchar from '${path}'`,
  );
  assert.deepEqual(reader.getRows().flat(), [
    'time TIMESTAMP WITH TIME ZONE',
    'device VARCHAR',
    'temp DOUBLE',
    'parts BIGINT',
    'ok BOOLEAN',
    '3',
  ]);
  connection.closeSync();
});

const noWayOut = [
  "select 1) to '/tmp/x' (format csv); --",
  'select 1) union (select 2',
  'select 1; select 2',
  'select 1 /*',
  "select 1) to '/tmp/x' --",
];
for (const sql of noWayOut)
  test(`nothing gets out of the parentheses of a COPY: ${sql}`, async () => {
    const { status } = await get({ sql, format: 'parquet' });
    assert.equal(status, 400);
  });

test('a larger Parquet answer than is allowed is refused, a larger CSV cut off', async () => {
  const sql = 'select md5(i::varchar) as x from range(300000) r(i)';
  const refused = await get({ sql, format: 'parquet', max_bytes: '10KB' });
  assert.equal(((await refused.json()) as { code: string }).code, 'result_too_large');
  const cut = await textOf({ sql, format: 'csv', max_bytes: '1MB' });
  assert.ok(cut.length > 1e6 && cut.length < 1.2e6 && cut.endsWith('\r\n'));
});

/** With trailers, which fetch does not show. */
async function raw(
  path: string,
  headers: Record<string, string> = {},
): Promise<IncomingMessage & { text: string }> {
  return await new Promise((resolve, reject) => {
    httpRequest(url(path), { headers }, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => (text += part.toString('latin1')));
      response.on('end', () => resolve(Object.assign(response, { text })));
      response.on('error', reject);
    }).end();
  });
}

test('more than a million rows come as CSV, compressed, and end with a status', async () => {
  const path = '/api/v1/query?format=csv&sql=select+i,i*2+as+j+from+range(1050000)+r(i)';
  const plain = await raw(path);
  assert.equal(plain.text.split('\r\n').length, 1_050_002);
  assert.equal(plain.trailers['x-query-status'], 'ok');
  assert.equal(plain.trailers['x-query-truncated'], 'false');
  const zipped = await raw(path.replace('1050000', '300000'), { 'accept-encoding': 'gzip' });
  assert.equal(zipped.headers['content-encoding'], 'gzip');
  assert.ok(zipped.text.length < plain.text.length / 2);
});

/**
 * What the server hands to the system at once for each answer of one connection. On the side of a client two writes may come as one
 * piece of data or as two, as chance has it.
 */
async function writesOf(paths: readonly string[]): Promise<string[][]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const answers: string[][] = [];
  server.server.once('connection', (socket) => {
    const write = socket._write.bind(socket);
    const writeAll = socket._writev?.bind(socket);
    socket._write = (chunk: Uint8Array | string, encoding, done) => {
      answers.at(-1)?.push(String(chunk));
      write(chunk, encoding, done);
    };
    socket._writev = (chunks, done) => {
      answers.at(-1)?.push(chunks.map(({ chunk }) => String(chunk)).join(''));
      writeAll?.(chunks, done);
    };
  });
  for (const path of paths) {
    answers.push([]);
    await new Promise<void>((resolve, reject) => {
      const sent = httpRequest(url(path), { agent }, (response) => response.resume().once('end', resolve));
      sent.once('error', reject).end();
    });
  }
  agent.destroy();
  return answers;
}

test('a small answer leaves in one write, with its headers and its trailers', async () => {
  const formats = ['json', 'jsonl', 'csv', 'arrow', 'parquet', 'pretty'];
  const path = (format: string) => `/api/v1/query?sql=select+42+as+answer&format=${format}`;
  const answers = await writesOf(formats.map(path));
  for (const [index, writes] of answers.entries()) {
    assert.equal(writes.length, 1, formats[index]);
    assert.match(
      writes[0] ?? '',
      /^HTTP\/1.1 200 OK\r\n[^]*answer[^]*\r\n0\r\nx-query-status: ok\r\n(?:.+\r\n)*\r\n$/,
    );
  }
  const [large = []] = await writesOf(['/api/v1/query?sql=from+range(200000)&format=csv']);
  assert.ok(large.length > 1);
});

/** The answer as it is on the wire. */
async function bytesOf(request: string): Promise<string> {
  const { port } = new URL(url('/'));
  return await new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(request));
    socket.on('data', (part) => (text += part.toString('latin1')));
    socket.on('end', () => {
      resolve(text);
    });
    socket.on('error', reject);
  });
}

test('a client of HTTP/1.0 gets no chunks, and HEAD no body', async () => {
  const path = '/api/v1/query?sql=select+42+as+answer&format=csv';
  const old = await bytesOf(`GET ${path} HTTP/1.0\r\n\r\n`);
  assert.match(old, /^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nanswer\r\n42\r\n$/);
  assert.doesNotMatch(old, /transfer-encoding|trailer/i);
  for (const rows of [1, 200_000]) {
    const query = `/api/v1/query?sql=from+range(${rows})&format=csv`;
    const head = await bytesOf(`HEAD ${query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    assert.match(head, /^HTTP\/1.1 200 OK\r\n[^]*content-type: text\/csv[^]*\r\n\r\n$/);
  }
});

test('a failure after the first rows is the last of JSON lines, and the body breaks off', async () => {
  const sql =
    "select i, cast(case when i = 900000 then 'x' else '1' end as int) as n from range(1000000) r(i)";
  const text = await new Promise<string>((resolve, reject) => {
    httpRequest(url(`/api/v1/query?format=jsonl&sql=${encodeURIComponent(sql)}`), (response) => {
      let tail = '';
      response.on('data', (part: Buffer) => (tail = (tail + part.toString()).slice(-500)));
      response.on('end', () => reject(new Error('it ended well')));
      response.on('error', () => resolve(tail));
    }).end();
  });
  assert.equal(
    (JSON.parse(text.trim().split('\n').at(-1) ?? '') as { error: { code: string } }).error.code,
    'query_failed',
  );
});

for (const format of ['json', 'jsonl', 'csv', 'pretty', 'arrow', 'parquet'])
  test(`what fails among the first rows is a problem document: ${format}`, async () => {
    for (const failing of [0, 2_500, 5_000]) {
      const sql = `select cast(case when i = ${failing} then 'x' else '1' end as int) as n from range(6000) r(i)`;
      const response = await get({ sql, format });
      const { code, position } = (await response.json()) as { code: string; position: number };
      assert.deepEqual([response.status, code, position], [400, 'sql_invalid', 8], `in row ${failing}`);
    }
  });

for (const format of ['json', 'jsonl', 'csv', 'pretty', 'arrow', 'parquet'])
  test(`time that is up before the first row is a problem document: ${format}`, async () => {
    const response = await get({
      sql: 'select sum(i) from range(100000000000) r(i)',
      format,
      timeout: '200ms',
    });
    assert.equal(response.status, 504);
  });

test('no piece of an Arrow stream comes before its first rows', async () => {
  const client = new AbortController();
  const answer = await fixture.engine.query({ sql: 'select 1' }, client.signal);
  client.abort();
  await assert.rejects(renderAnswer(answer, 'arrow').next(), (error) => isFailure(error, 'query_cancelled'));
});

test('an empty Arrow stream has its columns', async () => {
  const response = await get({ sql: 'select 1 as n where false', format: 'arrow' });
  const table = tableFromIPC(new Uint8Array(await response.arrayBuffer()));
  assert.deepEqual([table.numRows, table.schema.names], [0, ['n']]);
});

test('an unchanged answer is not made again', async () => {
  const sql = "select count(*) as n from environment where device = 'dev0'";
  const first = await get({ sql });
  const tag = first.headers.get('etag') ?? '';
  assert.match(tag, /^W\//);
  assert.equal(first.headers.get('x-table-version'), 'environment=3');
  assert.equal((await get({ sql }, { 'if-none-match': tag })).status, 304);
  assert.equal((await get({ sql, format: 'csv' }, { 'if-none-match': tag })).status, 200);
  await fixture.put(environment(4));
  assert.equal((await get({ sql }, { 'if-none-match': tag })).status, 200);
  for (const changing of [
    'select now()',
    'select random()',
    'select current_timestamp',
    'select gen_random_uuid()',
  ])
    assert.equal((await get({ sql: changing })).headers.get('etag'), null, changing);
});

test('says what a query would read, without reading it', async () => {
  const sql = "select avg(temp) from environment where time < '2026-01-01 00:30'";
  const estimate = (await (await get({ sql, dry_run: 'true' })).json()) as Record<string, unknown>;
  const [table] = estimate['tables'] as Record<string, unknown>[];
  assert.deepEqual([estimate['files'], table?.['files_total'], estimate['store_requests']], [1, 2, 0]);
  const plan = await textOf({ sql, explain: 'plan' });
  assert.match(plan, /READ_PARQUET/);
  assert.ok(!plan.includes(fixture.folder), 'no path of this machine');
});

test('finds tables of another database by their own names', async () => {
  assert.equal(
    await textOf({ sql: 'select count(*) from runs', db: 'lab', format: 'csv', header: 'false' }),
    '1\r\n',
  );
  assert.equal((await get({ sql: 'from environment', db: 'lab' })).status, 404);
  assert.equal((await get({ sql: 'from environment' })).status, 200);
});

test('a running query is listed, and ended by its id', async () => {
  const sql = 'select count(*) from range(1000000000000) where $secret is not null';
  const asked = fetch(url('/api/v1/query'), {
    method: 'POST',
    body: JSON.stringify({ sql, params: { secret: 'x7' } }),
  });
  interface Listed {
    running: { query_id: string; sql: string; state: string }[];
    recent: { query_id: string; state: string }[];
  }
  const list = async () => (await (await fetch(url('/api/v1/queries'))).json()) as Listed;
  let running: Listed['running'] = [];
  while (running.length === 0) running = (await list()).running.filter((query) => query.sql === sql);
  const [found] = running;
  assert.ok(found);
  assert.ok(!JSON.stringify(running).includes('x7'));
  assert.equal((await fetch(url(`/api/v1/queries/${found.query_id}`), { method: 'DELETE' })).status, 202);
  assert.equal((await asked).status, 499);
  assert.equal((await list()).recent.find(({ query_id }) => query_id === found.query_id)?.state, 'cancelled');
  assert.equal((await fetch(url('/api/v1/queries/none'), { method: 'DELETE' })).status, 404);
});

test('what cannot be accepted is refused', async () => {
  assert.equal((await get({ sql: 'select 1' }, { accept: 'image/png' })).status, 406);
  assert.equal((await get({ sql: 'select 1', format: 'csv' }, { accept: 'image/png' })).status, 200);
});
