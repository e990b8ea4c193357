import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { formatListenAddress, type ListenAddress } from '@varve/common/config/listen-address.js';
import { Failure } from '@varve/common/errors.js';
import { listen, type FastifyInstance } from './http-server.js';
import { silentLogger } from '@varve/common/log.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { QueryFixture } from '../query/query.test.fixture.js';
import { createTsdbServer } from './tsdb-server.js';

let fixture: QueryFixture;
let server: FastifyInstance;
let address: ListenAddress;
const store = new MemoryStore();

before(async () => {
  fixture = await QueryFixture.open();
  await fixture.put({
    table: 'environment',
    version: 3,
    tags: ['device'],
    fields: { temp: 'double' },
    files: [
      `select timestamptz '2026-01-01 00:00:00Z' + to_minutes(i) as time, 'dev' || (i % 3) as device, i / 4 as temp,
       date '2026-01-01' as day from range(100) r(i)`,
    ],
  });
  await fixture.put({ database: 'lab', table: 'runs' });
  server = createTsdbServer({
    version: '1.2.3',
    startedMs: systemClock.nowMs(),
    clock: systemClock,
    store,
    catalog: fixture,
    engine: await fixture.startEngine(),
    parts: { ingest: () => ({ lastRoundAtMs: 5, gaps: [{ awaitedSeq: 1 }] }) },
    log: silentLogger(),
    registry: fixture.registry,
  });
  address = await listen(server, { host: '127.0.0.1', port: 0 }, 'listen');
});
after(async () => {
  await server.close();
  await fixture.close();
});

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

async function send(path: string, init?: RequestInit): Promise<Reply> {
  const response = await fetch(`http://${formatListenAddress(address)}${path}`, init);
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body };
}

const post = (body: unknown, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
  send('/api/v1/query', {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const get = (sql: string, more = '') => send(`/api/v1/query?sql=${encodeURIComponent(sql)}${more}`);

test('answers a query in a body', async () => {
  const { status, headers, body } = await post({
    sql: 'select time, temp from environment where device = $1 order by time limit 1',
    params: ['dev1'],
  });
  assert.equal(status, 200);
  assert.equal(headers.get('content-type'), 'application/json; charset=utf-8');
  assert.equal(headers.get('x-query-id'), body['query_id']);
  assert.deepEqual(body['columns'], [
    { name: 'time', type: 'timestamp[us, UTC]' },
    { name: 'temp', type: 'double' },
  ]);
  assert.deepEqual(body['rows'], [['2026-01-01T00:01:00Z', 0.25]]);
  assert.deepEqual((body['stats'] as { table_versions: unknown }).table_versions, { environment: 3 });
});

test('answers a query in a URL', async () => {
  const { body } = await get(
    'select $a::int + 1',
    `&params=${encodeURIComponent('{"a": 1}')}&max_rows=5&timeout=5s`,
  );
  assert.deepEqual(body['rows'], [[2]]);
  assert.deepEqual((await send('/api/v1/query?q=select+1')).body['rows'], [[1]]);
});

test('answers what curl -d sends', async () => {
  const { body } = await post('{"sql": "select 1"}', { 'content-type': 'application/x-www-form-urlencoded' });
  assert.deepEqual(body['rows'], [[1]]);
});

test('says that an answer was cut off', async () => {
  const { body } = await get('from range(10)', '&max_rows=3');
  assert.deepEqual([body['row_count'], body['truncated']], [3, true]);
});

const problems: [name: string, ask: () => Promise<Reply>, status: number, code: string][] = [
  ['SQL that is none', () => get('selec 1'), 400, 'sql_syntax'],
  ['an unknown column', () => get('select tmp from environment'), 400, 'sql_invalid'],
  ['an unknown table', () => get('from enviroment'), 404, 'table_not_found'],
  ['a file as table', () => get("from '/etc/passwd'"), 404, 'table_not_found'],
  ['a statement that is no SELECT', () => get("copy environment to 'x'"), 400, 'sql_not_allowed'],
  ['a function that reads', () => get("from read_text('/etc/passwd')"), 400, 'sql_not_allowed'],
  ['a missing parameter', () => get('select $1'), 400, 'bad_param'],
  ['an unknown parameter', () => get('select 1', '&limit=5'), 400, 'bad_param'],
  ['no SQL', () => send('/api/v1/query'), 400, 'bad_param'],
  [
    'a query that takes too long',
    () => get('select count(*) from range(1000000000000)', '&timeout=50ms'),
    504,
    'query_timeout',
  ],
  [
    'a query that needs too much memory',
    () => get('select list(i) from range(1000000000) r(i)'),
    422,
    'memory_limit_exceeded',
  ],
  ['a body that is no JSON', () => post('{"sql": '), 400, 'bad_request'],
  ['a form that is no JSON', () => post('sql=select', { 'content-type': 'text/plain' }), 400, 'bad_request'],
  ['an empty body', () => post(''), 400, 'bad_request'],
  ['a body that is no object', () => post([1]), 400, 'bad_request'],
  [
    'another media type',
    () => post('<sql/>', { 'content-type': 'application/xml' }),
    415,
    'media_type_unsupported',
  ],
  ['a body that is too large', () => post({ sql: 'x'.repeat(2 ** 20) }), 413, 'body_too_large'],
  ['SQL that is too long', () => post({ sql: 'x'.repeat(70_000) }), 400, 'bad_param'],
  ['an unknown path', () => send('/api/v1/qery'), 404, 'route_not_found'],
  ['another method', () => send('/api/v1/query', { method: 'DELETE' }), 404, 'route_not_found'],
  ['a table that is not there', () => send('/api/v1/tables/enviroment'), 404, 'table_not_found'],
];
for (const [name, ask, status, code] of problems)
  test(`${name}: ${status} ${code}`, async () => {
    const reply = await ask();
    assert.deepEqual([reply.status, reply.body['status'], reply.body['code']], [status, status, code]);
    assert.match(reply.headers.get('content-type') ?? '', /^application\/problem\+json/);
    assert.equal(reply.body['error'], reply.body['title']);
  });

test('a problem says where, and what may be meant', async () => {
  const { body } = await get('select 1 from enviroment');
  assert.deepEqual(
    [body['position'], body['line'], body['column'], body['did_you_mean'], body['tables']],
    [15, 1, 15, ['environment'], ['environment', 'lab.runs']],
  );
  assert.deepEqual((await get('select 1', '&limit=5&fromat=csv')).body['parameters'], ['limit', 'fromat']);
});

test('a failure after the first rows breaks the body off', async () => {
  const sql = "select i, cast(case when i = 900000 then 'x' else '1' end as int) from range(1000000) r(i)";
  const url = `http://${formatListenAddress(address)}/api/v1/query?max_rows=1000000&sql=${encodeURIComponent(sql)}`;
  const response = await fetch(url);
  assert.equal(response.status, 200);
  await assert.rejects(response.text(), /terminated/);
});

test('a client that hangs up ends its query', async () => {
  const sql = encodeURIComponent('select count(*) from range(1000000000000)');
  const asked = request({ ...address, path: `/api/v1/query?sql=${sql}` });
  asked.on('error', () => undefined).end();
  await until(() => fixture.engine.status.running === 1);
  asked.destroy();
  await until(() => fixture.engine.status.running === 0);
});

test('a client that hangs up in the middle of an answer ends its query', async () => {
  const asked = request({ ...address, path: '/api/v1/query?max_rows=1000000&q=from+range(1000000000)' });
  asked
    .on('error', () => undefined)
    .on('response', (response) => response.once('data', () => asked.destroy()));
  asked.end();
  await until(() => fixture.engine.status.running === 1);
  await until(() => fixture.engine.status.running === 0);
});

test('a client that takes nothing holds a place no longer than its query may take', async (context) => {
  const socket = connect(address.port, address.host);
  context.after(() => socket.destroy());
  socket.on('error', () => undefined).pause();
  socket.write(
    'GET /api/v1/query?format=csv&timeout=1s&q=from+range(1000000000) HTTP/1.1\r\nhost: a\r\n\r\n',
  );
  await until(() => fixture.engine.status.running === 1);
  await until(() => fixture.engine.status.running === 0);
  const { body } = await send('/api/v1/queries');
  const [last] = body['recent'] as { state: string; code?: string }[];
  assert.deepEqual([last?.state, last?.code], ['failed', 'query_timeout']);
});

async function until(isTrue: () => boolean): Promise<void> {
  const startedMs = systemClock.monotonicMs();
  while (!isTrue()) {
    assert.ok(systemClock.monotonicMs() - startedMs < 5_000, 'it took too long');
    await systemClock.sleep(5);
  }
}

test('lists tables, and shows one', async () => {
  const { body } = await send('/api/v1/tables');
  const tables = body['tables'] as { name: string; database: string; rows: number }[];
  assert.deepEqual(
    tables.map(({ name, database, rows }) => [database, name, rows]),
    [
      ['main', 'environment', 100],
      ['lab', 'runs', 0],
    ],
  );
  assert.equal((await send('/api/v1/tables/environment')).body['version'], 3);
  assert.equal((await send('/api/v1/tables/lab.runs')).body['name'], 'runs');
});

test('is ready while the store answers', async () => {
  assert.deepEqual((await send('/readyz')).body, { status: 'ready' });
  store.faults.before = () => {
    throw new Failure('store_unavailable', 'no route to host');
  };
  const { status, body } = await send('/readyz');
  assert.deepEqual(
    [status, body['code'], body['title']],
    [503, 'store_unavailable', 'the store cannot be reached: no route to host'],
  );
  store.faults.before = undefined;
  assert.deepEqual((await send('/healthz')).body, { status: 'ok' });
});

test('says how it fares', async () => {
  const { body } = await send('/status');
  assert.equal(body['version'], '1.2.3');
  assert.deepEqual(body['queries'], { running: 0, waiting: 0 });
  assert.deepEqual(body['ingest'], { last_round_at_ms: 5, gaps: [{ awaited_seq: 1 }] });
  assert.equal((body['tables'] as { rows: number }[])[0]?.rows, 100);
});

test('says what there is to ask', async () => {
  const { endpoints } = (await send('/')).body as { endpoints: Record<string, string> };
  assert.ok('GET|POST /api/v1/query' in endpoints);
});

test('shows its numbers', async () => {
  const response = await fetch(`http://${formatListenAddress(address)}/metrics`);
  assert.match(await response.text(), /^varve_tsdb_query_seconds_count \d+$/m);
});
