import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock, type Clock } from '@varve/common/clock.js';
import { isFailure } from '@varve/common/errors.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { openTokens } from '../access/open-tokens.js';
import { TokenBook } from '../access/token-book.js';
import { parseScope } from '../access/token.js';
import { QueryFixture } from '../query/query.test.fixture.js';
import { SensorServer, type Reply } from './sensor-server.test.fixture.js';

const store = new MemoryStore();
let nowMs = Date.parse('2026-01-01T00:00:00Z');
let monotonicMs = 0;
const clock: Clock = { ...systemClock, nowMs: () => nowMs, monotonicMs: () => monotonicMs };
const tokens = new TokenBook(store, clock);
let server: SensorServer;

async function make(scopes: string[], more: { expires?: string; requestsPerMinute?: number } = {}) {
  return await tokens.create({
    description: 'for a test',
    created: new Date(nowMs).toISOString(),
    expires: more.expires ?? null,
    requests_per_minute: more.requestsPerMinute ?? null,
    scopes: scopes.map((text) => parseScope(text) ?? assert.fail(text)),
  });
}

before(async () => {
  const fixture = await QueryFixture.open();
  const files = [
    `select timestamptz '2026-01-01 11:00:00Z' as time, 1::double as v, date '2026-01-01' as day`,
  ];
  for (const table of ['open', 'secret']) await fixture.put({ table, fields: { v: 'double' }, files });
  server = await SensorServer.open(fixture, { tokens });
});
after(() => server.close());

const ask = (path: string, token?: string, init: RequestInit = {}): Promise<Reply> =>
  server.get(path, { ...init, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
/** Within seconds: the list is read again. */
const later = () => (monotonicMs += 11_000);

test('without a token, or with a wrong one, nothing is answered but whether it runs', async () => {
  assert.equal((await ask('/healthz')).status, 200);
  const { text } = await make(['read']);
  later();
  const wrong = [
    undefined,
    'x',
    `varve_000000000000_${'a'.repeat(43)}`,
    `${text.slice(0, -4)}AAAA`,
    `${text}x`,
  ];
  for (const path of [
    '/api/v1/tables',
    '/api/v1/query?sql=select+1',
    '/metrics',
    '/status',
    '/api/v1/nothing',
  ])
    for (const token of wrong) {
      const { status, headers, body } = await ask(path, token);
      assert.deepEqual(
        [status, body['code'], headers.get('www-authenticate')],
        [401, 'unauthenticated', 'Bearer'],
        path,
      );
    }
  assert.equal((await ask('/api/v1/query?sql=select+1', text)).status, 200);
});

test('tables that a token may not see are not there, for SQL neither', async () => {
  const { text } = await make(['read:open']);
  later();
  const { tables } = (await ask('/api/v1/tables', text)).body as unknown as { tables: { name: string }[] };
  assert.deepEqual(
    tables.map(({ name }) => name),
    ['open'],
  );
  assert.equal((await ask('/api/v1/query?sql=from+open', text)).status, 200);
  const hidden = [
    '/api/v1/query?sql=from+secret',
    '/api/v1/query?sql=from+main.secret',
    "/api/v1/query?sql=from+latest('secret')",
    '/api/v1/query?sql=with+a+as+(from+SECRET)+from+a',
    '/api/v1/tables/secret',
    '/api/v1/tables/main.secret/range',
    '/api/v1/tables/SECRET/latest',
    '/api/v1/range?table=secret',
    '/api/v1/latest?table=secret',
  ];
  for (const path of hidden) {
    const { status, body } = await ask(path, text);
    assert.deepEqual([status, body['code']], [404, 'table_not_found'], path);
    assert.deepEqual(body['tables'], ['open'], path);
  }
  for (const path of ['/status', '/metrics', '/api/v1/queries', '/api/v1/agents'])
    assert.equal((await ask(path, text)).body['code'], 'forbidden', path);
  const cancel = await ask('/api/v1/queries/x', (await make(['read'])).text, { method: 'DELETE' });
  assert.equal(cancel.status, 401, 'not known before the list is read again');
});

test('a token ends with its time, and when it is revoked', async () => {
  const short = await make(['read'], { expires: '2026-01-01T00:01:00.000Z' });
  const long = await make(['read']);
  later();
  assert.deepEqual(
    [(await ask('/status', short.text)).status, (await ask('/status', long.text)).status],
    [200, 200],
  );
  nowMs += 61_000;
  assert.match(String((await ask('/status', short.text)).body['error']), /expired/);
  assert.equal(await new TokenBook(store, clock).revoke(long.id), true);
  later();
  assert.equal((await ask('/status', long.text)).status, 401);
});

test('a quota is answered with 429 and when to come again', async () => {
  const { text } = await make(['read'], { requestsPerMinute: 2 });
  monotonicMs = (Math.floor(monotonicMs / 60_000) + 1) * 60_000;
  for (const expected of [200, 200, 429]) assert.equal((await ask('/status', text)).status, expected);
  const { headers } = await ask('/status', text);
  assert.equal(headers.get('retry-after'), '60');
  monotonicMs += 60_000;
  assert.equal((await ask('/status', text)).status, 200);
});

test('the store holds no secret, and a token that was seen costs no hashing again', async () => {
  const { text, id } = await make(['read']);
  const stored = Buffer.from(await store.get(`ops/tokens/${id}.json`)).toString();
  assert.ok(!stored.includes(text.slice(19)));
  later();
  await tokens.admit(text);
  const startedMs = systemClock.monotonicMs();
  for (let count = 0; count < 100; count++) await tokens.admit(text);
  assert.ok(systemClock.monotonicMs() - startedMs < 1_000, 'a hash each would take several seconds');
});

test('a server that others can reach does not start without a token, unless it is told to', async () => {
  const listen = { host: '0.0.0.0', port: 8181 };
  const empty = new MemoryStore();
  await assert.rejects(openTokens({ listen, insecure: false }, empty, clock), (error) =>
    isFailure(error, 'config_invalid'),
  );
  assert.equal(await openTokens({ listen, insecure: true }, empty, clock), undefined);
  assert.equal(
    await openTokens({ listen: { host: '127.0.0.1', port: 1 }, insecure: false }, empty, clock),
    undefined,
  );
  assert.ok(await openTokens({ listen, insecure: false }, store, clock));
});
