import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';

// What README shows of functions, on two devices of the demo's plant: one reading a minute, none from 00:02 to 00:05.
let fixture: QueryFixture;
before(async () => {
  fixture = await QueryFixture.open();
  await fixture.put({
    table: 'environment',
    tags: ['site', 'device'],
    fields: { temperature: 'double' },
    files: [0, 1].map(
      (device) => `select timestamptz '2026-01-01 00:00:00Z' + to_minutes(i) as time, 'north' as site,
        'dev-${device}' as device, ${device * 100} + i as temperature, date '2026-01-01' as day
        from range(8) r(i) where i < 2 or i > 4`,
    ),
  });
  await fixture.startEngine();
});
after(async () => {
  await fixture.close();
});

async function ask(sql: string, params: Record<string, string> = {}): Promise<unknown[]> {
  const answer = await fixture.engine.query({ sql, params }, new AbortController().signal);
  let text = '';
  for await (const piece of renderAnswer(answer, 'csv', {
    style: { timeFormat: 'rfc3339', timeZone: 'UTC', int64: 'auto' },
    bytesMax: 1e6,
    header: false,
  }))
    text += String(piece);
  return text.replaceAll('2026-01-01T', '').replaceAll(':00Z', '').split('\r\n').slice(0, -1);
}

const examples: [sql: string, rows: string[], params?: Record<string, string>][] = [
  [
    "select time_bucket('5 minutes', time) as t, avg(temperature) from environment where device = 'dev-0' group by all order by t",
    ['00:00,0.5', '00:05,6'],
  ],
  [
    "select date_bin('5 minutes', time, timestamptz '2026-01-01 00:01:00Z') as t, count(*) from environment group by all order by t",
    ['2025-12-31T23:56,2', '00:01,2', '00:06,4'].map((row) => row.replace('00:01,2', '00:01,4')),
  ],
  [
    'select device, first(temperature, time), last(temperature, time) from environment group by all order by all',
    ['dev-0,0,7', 'dev-1,100,107'],
  ],
  [
    "select device, time, temperature from latest('environment') order by device",
    ['dev-0,00:07,7', 'dev-1,00:07,107'],
  ],
  [
    `select a.time, a.temperature, b.temperature as other from environment a
      asof join (select * from environment where temperature <> 101) b on b.device = 'dev-1' and a.time >= b.time
      where a.device = 'dev-0' and a.time < '2026-01-01 00:06:00Z' order by a.time`,
    ['00:00,0,100', '00:01,1,100', '00:05,5,105'],
  ],
  [
    `select device, unnest(lttb(time, temperature, 3), recursive := true) from environment group by device order by all`,
    [
      'dev-0,00:00,0',
      'dev-0,00:01,1',
      'dev-0,00:07,7',
      'dev-1,00:00,100',
      'dev-1,00:01,101',
      'dev-1,00:07,107',
    ],
  ],
  [
    `select p.time, p.value from (select unnest(lttb(time, temperature, $n) filter (where device = 'dev-1')) as p from environment)`,
    ['00:00,100', '00:07,107'],
    { n: '2' },
  ],
  ["select lttb(time, temperature, 2) is null from environment where device = 'nobody'", ['true']],
  ["select device from latest('main.environment') l where l.temperature > 100", ['dev-1']],
  [
    `select time_bucket_gapfill('1 minute', time) as minute, avg(temperature) as mean, locf(avg(temperature)),
     interpolate(avg(temperature)) from environment
     where device = 'dev-0' and time >= '2026-01-01' and time < '2026-01-01 00:07' group by minute order by minute`,
    ['00:00,0,0,0', '00:01,1,1,1', '00:02,,1,2', '00:03,,1,3', '00:04,,1,4', '00:05,5,5,5', '00:06,6,6,6'],
  ],
  [
    `select time_bucket_gapfill('2 minutes', time) as t, device, count(*) as n, locf(max(temperature)) as m from environment
     where time between $from and $to group by all order by device, t limit 5`,
    ['23:58,dev-0,,', '00:00,dev-0,2,1', '00:02,dev-0,,1', '00:04,dev-0,1,5', '23:58,dev-1,,'].map((row) =>
      row.replace('23:58', '2025-12-31T23:58'),
    ),
    { from: '2025-12-31T23:58:30Z', to: '2026-01-01T00:05:00Z' },
  ],
  [
    `with filled as (select time_bucket_gapfill('1 minute', time, timestamptz '2026-01-01', timestamptz '2026-01-01 00:03')
       as t, interpolate(avg(temperature)) as v from environment group by 1)
     select t, v from filled order by t desc`,
    ['00:02,', '00:01,51', '00:00,50'],
  ],
  [
    `select e.device, round(e.temperature - o.temperature) from environment e asof join environment o
     on e.site = o.site and o.time <= e.time - interval 3 minutes and o.device = 'dev-0' where e.device = 'dev-1' and e.time >= '2026-01-01 00:07'`,
    ['dev-1,106'],
  ],
];
for (const [sql, rows, params] of examples)
  test(sql.replaceAll(/\s+/g, ' '), async () => assert.deepEqual(await ask(sql, params), rows));

test('gapfill reads only files that it needs', async () => {
  const plan = await fixture.engine.plan({
    sql: `select time_bucket_gapfill('1 minute', time) as t, avg(temperature) from environment
          where time >= '2027-01-01' and time < '2027-01-02' group by t`,
  });
  assert.equal(plan.fileCount, 0);
});

const refused: [sql: string, code: 'sql_invalid' | 'table_not_found' | 'sql_not_allowed'][] = [
  ["from latest('nothing')", 'table_not_found'],
  ['from latest(1)', 'sql_not_allowed'],
  ["from latest('environment' || '')", 'sql_not_allowed'],
  ["select time_bucket_gapfill('1 minute') from environment", 'sql_invalid'],
  ['select lttb(time, temperature) from environment', 'sql_invalid'],
  ['select lttb(time, temperature, 5) over () from environment', 'sql_invalid'],
  ['select lttb(distinct time, temperature, 5) from environment', 'sql_invalid'],
  ['select lttb(time, temperature, 0) from environment', 'sql_invalid'],
  ["select time_bucket_gapfill('1 minute', time), * from environment", 'sql_invalid'],
  ['select locf(1)', 'sql_invalid'],
  ['select first(missing, time) from environment', 'sql_invalid'],
];
for (const [sql, code] of refused)
  test(`refuses ${sql}`, async () => {
    await assert.rejects(ask(sql), (error) => isFailure(error, code));
  });
