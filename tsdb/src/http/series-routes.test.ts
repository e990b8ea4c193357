import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { QueryFixture } from '../query/query.test.fixture.js';
import { matchesPattern } from '../sensors/series-list.js';
import { nowMs, SensorServer } from './sensor-server.test.fixture.js';

let server: SensorServer;
const store = new MemoryStore();

before(async () => {
  const status = {
    oldest_unshipped_seconds: 2,
    uptime_seconds: 90_000,
    sources: { plant: { connected: true } },
  };
  await store.putIfAbsent('agents/hall/status.json', Buffer.from(JSON.stringify(status)));
  const fixture = await QueryFixture.open();
  const row = (device: string, minute: number, mode: string) =>
    `select timestamptz '2026-01-01 11:00:00Z' + to_minutes(${minute}) as time, '${device}' as device, '${mode}' as mode, date '2026-01-01' as day`;
  const rows = [
    row('dev-1', 0, 'run'),
    row('dev-1', 1, 'run'),
    row('dev-1', 31, 'idle'),
    row('dev-2', 58, 'run'),
    row('x', 59, 'run'),
  ];
  const snapshot = await fixture.put({
    table: 'machine',
    version: 2,
    tags: ['device'],
    fields: { mode: 'string' },
    files: [rows.join(' union all ')],
  });
  (snapshot.transactions as Map<string, number>).set('edge/hall/e1/live', 9);
  await fixture.put({ table: 'empty' });
  server = await SensorServer.open(fixture, {
    store,
    ingestState: () => ({ lastRoundAtMs: nowMs, waiting: 0, gaps: [], troubles: [] }),
  });
});
after(() => server.close());

const get = async (path: string) => (await server.get(`/api/v1/tables/machine/${path}`)).body;

test('series, page by page', async () => {
  const first = await get('series?limit=2');
  assert.deepEqual(first['series'], [
    { tags: { device: 'dev-1' }, last_time: '2026-01-01T11:31:00Z' },
    { tags: { device: 'dev-2' }, last_time: '2026-01-01T11:58:00Z' },
  ]);
  const second = await get(`series?limit=2&cursor=${String(first['next_cursor'])}`);
  assert.deepEqual([(second['series'] as unknown[]).length, second['next_cursor']], [1, null]);
  assert.equal((await get('series?match=device:dev-*'))['series_count'], 2);
});

test('values of tags, and of fields in a window', async () => {
  assert.deepEqual(
    (await get('values/device'))['values'],
    ['dev-1', 'dev-2', 'x'].map((value) => ({ value, series: 1 })),
  );
  assert.deepEqual((await get('values/mode'))['values'], [
    { value: 'run', rows: 4 },
    { value: 'idle', rows: 1 },
  ]);
  assert.deepEqual(await get('values/mode?start=2026-01-01T11:30:00Z&limit=1'), {
    ...{ table: 'machine', column: 'mode', truncated: true },
    values: [{ value: 'run', rows: 2 }],
  });
});

test('until when a table is complete, and in the header of answers', async () => {
  const { complete_until: until, agents } = await get('completeness');
  // Tests run when they run: the store says when the report came.
  assert.match(String(until), /^20\d\d-/);
  assert.deepEqual(
    (agents as { agent: string; disconnected: unknown }[]).map(({ agent }) => agent),
    ['hall'],
  );
  const answer = await server.get('/api/v1/tables/machine/range?start=-2h');
  assert.equal(answer.headers.get('x-complete-until'), until);
  const asked = await server.get('/api/v1/query?sql=select+count(*)+from+machine');
  assert.equal(asked.headers.get('x-complete-until'), until);
  assert.deepEqual((await server.get('/api/v1/tables/empty/completeness')).body['complete_until'], null);
});

test('gaps, longest first, and whose doing they are', async () => {
  const { gaps } = await get('gaps?start=-1d&min=5m');
  assert.deepEqual(
    (gaps as { tags: { device: string }; seconds: number; cause: string }[]).map(
      ({ tags, seconds, cause }) => [tags.device, seconds, cause],
    ),
    [
      ['dev-1', 1_800, 'sensor'],
      // Still open: it ends where the table is known to be complete, ten seconds ago.
      ['dev-1', 1_730, 'sensor'],
    ],
  );
});

const refused = [
  'series?match=colour:red',
  'series?cursor=x',
  'series?limit=0',
  'values/none',
  'gaps?min=never',
  'gaps?from=1',
  'completeness?a=1',
];
for (const path of refused)
  test(`refuses ${path}`, async () => assert.equal((await get(path))['code'], 'bad_param'));

const patterns: [text: string, pattern: string, isMatch: boolean][] = [
  ['dev-1', 'dev-1', true],
  ['dev-1', 'dev', false],
  ['dev-1', 'dev-*', true],
  ['dev-1', '*', true],
  ['', '*', true],
  ['a-b-c', 'a*b*c', true],
  ['ab', 'a*b*b', false],
  ['aa', 'a*a', true],
  ['a', 'a*a', false],
  ['a.c', 'a?c', false],
];
for (const [text, pattern, isMatch] of patterns)
  test(`${pattern} ${isMatch ? 'matches' : 'does not match'} "${text}"`, () =>
    assert.equal(matchesPattern(text, pattern), isMatch));
