import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { LatestRow } from '../latest/series.js';
import { QueryFixture } from '../query/query.test.fixture.js';
import { nowMs, SensorServer } from './sensor-server.test.fixture.js';

let server: SensorServer;

const row = (tags: LatestRow['tags'], agoMs: number, values: LatestRow['values']): [string, LatestRow] => [
  JSON.stringify(tags),
  { tags, timeUs: (nowMs - agoMs) * 1_000, values },
];
const known = new Map([
  row({ device: 'dev-2' }, 600_000, { temp: 2.5, on: true }),
  row({ device: 'dev-1' }, 1_500, { temp: 1.5, count: 2n ** 60n, note: 'a "b"' }),
  row({ device: 'x,y' }, -2_000, {}),
  row({}, 0, { temp: 0 }),
]);

before(async () => {
  const fixture = await QueryFixture.open();
  const fields = { count: 'long', note: 'string', on: 'boolean', temp: 'double' } as const;
  const select = (device: string, minute: number, temp: number) =>
    `select timestamptz '2026-01-01 11:${minute}:00Z' as time, '${device}' as device, ${temp}::double as temp, ` +
    `null::bigint as count, null::varchar as note, null::boolean as on, date '2026-01-01' as day`;
  await fixture.put({ table: 'environment', version: 3, tags: ['device'], fields });
  await fixture.put({
    table: 'unkept',
    tags: ['device'],
    fields,
    files: [`${select('b', 10, 1)} union all ${select('b', 50, 2)} union all ${select('a', 20, 3)}`],
  });
  server = await SensorServer.open(fixture, {
    newestRows: ({ table }) => Promise.resolve(table === 'environment' ? known : undefined),
  });
});
after(() => server.close());

test('the newest row of every series, in order, with its age', async () => {
  const { status, body } = await server.get('/api/v1/tables/environment/latest?stale_after=5m');
  assert.equal(status, 200);
  assert.deepEqual(
    body.columns?.map(({ name }) => name),
    ['time', 'device', 'count', 'note', 'on', 'temp', 'age_ms', 'stale'],
  );
  assert.deepEqual(body.rows, [
    ['2026-01-01T12:00:00Z', null, null, null, null, 0, 0, false],
    ['2026-01-01T11:59:58.5Z', 'dev-1', String(2n ** 60n), 'a "b"', null, 1.5, 1_500, false],
    ['2026-01-01T11:50:00Z', 'dev-2', null, null, true, 2.5, 600_000, true],
    ['2026-01-01T12:00:02Z', 'x,y', null, null, null, null, -2_000, false],
  ]);
  assert.equal(body['row_count'], 4);
  assert.deepEqual((body['stats'] as { table_versions: unknown }).table_versions, { environment: 3 });
});

const asked: [query: string, devices: unknown[], columns: number][] = [
  ['device=dev-1,dev-2', ['dev-1', 'dev-2'], 8],
  ['device=dev-1&device=dev-2&columns=temp', ['dev-1', 'dev-2'], 5],
  ['device=x%5C,y&columns=note,temp', ['x,y'], 6],
  ['tag.device=dev-2', ['dev-2'], 8],
  ['device=nobody', [], 8],
  ['max_rows=1', [null], 8],
];
for (const [query, devices, columns] of asked)
  test(`latest?${query}`, async () => {
    const { body } = await server.get(`/api/v1/latest?table=environment&${query}`);
    assert.deepEqual(
      body.rows?.map((cells) => cells[1]),
      devices,
    );
    assert.equal(body.columns?.length, columns);
    assert.equal(body['truncated'], query.startsWith('max_rows'));
  });

test('a table without a register is asked in SQL', async () => {
  const { body } = await server.get('/api/v1/tables/unkept/latest?columns=temp&stale_after=15m&device=a,b');
  assert.deepEqual(body.rows, [
    ['2026-01-01T11:20:00Z', 'a', 3, 2_400_000, true],
    ['2026-01-01T11:50:00Z', 'b', 2, 600_000, false],
  ]);
});

const refused: [path: string, code: string, text: RegExp][] = [
  ['tables/enviroment/latest', 'table_not_found', /did you mean|there is no table/],
  ['latest', 'bad_param', /table: is missing/],
  ['tables/environment/latest?devices=a', 'bad_param', /devices: is not a parameter/],
  ['tables/environment/latest?columns=tmp', 'bad_param', /there is no field tmp/],
  ['tables/environment/latest?stale_after=soon', 'bad_param', /stale_after/],
  ['tables/environment/latest?max_rows=0', 'bad_param', /max_rows: must be a whole number/],
  [`tables/environment/latest?device=${'a,'.repeat(1_001)}`, 'bad_param', /at most 1000/],
];
for (const [path, code, text] of refused)
  test(`refuses ${path.slice(0, 60)}`, async () => {
    const { body } = await server.get(`/api/v1/${path}`);
    assert.equal(body['code'], code);
    assert.match(String(body['error']), text);
  });
