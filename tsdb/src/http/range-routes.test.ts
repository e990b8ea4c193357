import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { QueryFixture } from '../query/query.test.fixture.js';
import { SensorServer } from './sensor-server.test.fixture.js';

let server: SensorServer;

/** Minutes from 10:00; fields as SQL. */
const row = (
  minutes: number,
  device: string | null,
  temp: number | null,
  on: boolean | null,
  note: string | null,
) =>
  `select timestamptz '2026-01-01 10:00:00Z' + to_seconds(${minutes * 60}) as time, ` +
  `${device === null ? 'null::varchar' : `'${device}'`} as device, ${temp ?? 'null'}::double as temp, ` +
  `${on ?? 'null'}::boolean as on, ${note === null ? 'null' : `'${note}'`}::varchar as note, date '2026-01-01' as day`;

before(async () => {
  const fixture = await QueryFixture.open();
  const rows = [
    row(-30, 'a', 10, true, 'old'),
    row(-90, 'b', 7, null, null),
    row(5, 'a', 20, null, null),
    row(8, 'a', null, false, 'mid'),
    row(35, 'a', 40, true, null),
    row(12, null, 1, null, null),
  ];
  await fixture.put({
    table: 'machine',
    version: 4,
    tags: ['device'],
    fields: { note: 'string', on: 'boolean', temp: 'double' },
    files: [rows.join(' union all ')],
  });
  await fixture.put({
    table: 'wave',
    fields: { flat: 'double', high: 'double' },
    files: [
      `select timestamptz '2026-01-01 10:00:00Z' + to_seconds(i) as time, 1::double as flat, ` +
        `case when i = 1234 then 99 when i = 2345 then -99 else sin(i / 100) end as high, date '2026-01-01' as day from range(3600) r(i)`,
    ],
  });
  server = await SensorServer.open(fixture);
});
after(() => server.close());

const hour = 'start=2026-01-01T10:00:00Z&end=2026-01-01T11:00:00Z';

async function range(query: string, table = 'machine'): Promise<unknown[][]> {
  const { status, body, text } = await server.get(`/api/v1/tables/${table}/range?${query}`);
  assert.equal(status, 200, text);
  return body.rows ?? [];
}
const clock = (cells: unknown[]) => [String(cells[0]).slice(11, 16), ...cells.slice(1)];

test('without every: the rows of the window', async () => {
  assert.deepEqual((await range(`${hour}&device=a`)).map(clock), [
    ['10:05', 'a', null, null, 20],
    ['10:08', 'a', 'mid', false, null],
    ['10:35', 'a', null, true, 40],
  ]);
  assert.deepEqual((await range('start=-4h&columns=temp&device=b,a')).length, 5);
});

test('the same question again is one of its own window, value and format', async () => {
  const timesOf = async (query: string) => (await range(query)).map((cells) => clock(cells)[0]);
  for (let time = 0; time < 2; time++) {
    assert.deepEqual(await timesOf('start=2026-01-01T10:00:00Z&end=2026-01-01T10:06:00Z&device=a'), [
      '10:05',
    ]);
    assert.deepEqual(await timesOf('start=2026-01-01T10:06:00Z&end=2026-01-01T10:10:00Z&device=a'), [
      '10:08',
    ]);
    assert.deepEqual(await timesOf(`${hour}&device=x?start=a`), []);
    assert.deepEqual(await timesOf(`${hour}&device=x?start=b,b,a`), ['10:05', '10:08', '10:35']);
  }
  const { status, body } = await server.get(`/api/v1/range?table=machine&device=a&start=10&end=now&start=20`);
  assert.deepEqual([status, body['parameters']], [400, ['start']]);
});

const filled: [query: string, expected: unknown[][]][] = [
  [
    'every=20m&agg=avg,count',
    [
      ['10:00', 20, 1],
      ['10:20', 40, 1],
    ],
  ],
  [
    'every=20m&agg=avg,count&fill=null',
    [
      ['10:00', 20, 1],
      ['10:20', 40, 1],
      ['10:40', null, 0],
    ],
  ],
  [
    'every=20m&agg=min&fill=-1',
    [
      ['10:00', 20],
      ['10:20', 40],
      ['10:40', -1],
    ],
  ],
  [
    'every=20m&agg=last&fill=previous',
    [
      ['10:00', 20],
      ['10:20', 40],
      ['10:40', 40],
    ],
  ],
  // The value of 9:30 holds until 10:05.
  [
    'every=5m&agg=avg&fill=previous&end=2026-01-01T10:10:00Z',
    [
      ['10:00', 10],
      ['10:05', 20],
    ],
  ],
  [
    'every=5m&agg=avg&fill=previous&end=2026-01-01T10:10:00Z&max_gap=20m',
    [
      ['10:00', null],
      ['10:05', 20],
    ],
  ],
  // From 10 at 9:30 to 20 in the bucket of 10:05: 35 minutes, of which 30 have passed.
  [
    'every=5m&agg=avg&fill=linear&end=2026-01-01T10:10:00Z',
    [
      ['10:00', 10 + (10 * 30) / 35],
      ['10:05', 20],
    ],
  ],
  [
    'every=20m&agg=max&fill=linear',
    [
      ['10:00', 20],
      ['10:20', 40],
      ['10:40', null],
    ],
  ],
  [
    'every=10m&agg=max&fill=linear&max_gap=29m&end=2026-01-01T10:40:00Z',
    [
      ['10:00', 20],
      ['10:10', null],
      ['10:20', null],
      ['10:30', 40],
    ],
  ],
  [
    'every=10m&agg=max&fill=linear&max_gap=30m&end=2026-01-01T10:40:00Z',
    [
      ['10:00', 20],
      ['10:10', 20 + 20 / 3],
      ['10:20', 20 + 40 / 3],
      ['10:30', 40],
    ],
  ],
  // 10 holds for 5 minutes, 20 for 30, 40 for 25.
  ['every=1h&agg=time_avg', [['10:00', (10 * 5 + 20 * 30 + 40 * 25) / 60]]],
  [
    'every=30m&agg=time_avg&fill=null',
    [
      ['10:00', (10 * 5 + 20 * 25) / 30],
      ['10:30', (20 * 5 + 40 * 25) / 30],
    ],
  ],
  ['every=1h&agg=time_avg&max_gap=10m', [['10:00', (20 * 10 + 40 * 10) / 20]]],
  // Windows that reach into the future: it is noon.
  [
    'every=1h&agg=last&fill=previous&end=2026-01-02T00:00:00Z',
    [
      ['10:00', 40],
      ['11:00', 40],
    ],
  ],
];
for (const [query, expected] of filled)
  test(`device=a&columns=temp&${query}`, async () => {
    const all = new URLSearchParams(`${hour}&device=a&columns=temp`);
    for (const [name, value] of new URLSearchParams(query)) all.set(name, value);
    const rows = (await range(all.toString())).map(clock).map(([time, , ...values]) => [time, ...values]);
    assert.deepEqual(round(rows), round(expected));
  });

const round = (rows: unknown[][]) =>
  rows.map((cells) => cells.map((cell) => (typeof cell === 'number' ? Math.round(cell * 1e9) / 1e9 : cell)));

test('a boolean counts as 1 and 0, text is carried, and series without rows have what held before', async () => {
  const rows = await range(`${hour}&every=1h&agg=last,time_avg&fill=previous&columns=on,note&look_back=3h`);
  assert.deepEqual(rows.map(clock), [
    ['10:00', 'a', true, (8 + 25) / 60, 'mid'],
    ['10:00', 'b', null, null, null],
    ['10:00', null, null, null, null],
  ]);
  const temps = await range(`${hour}&every=1h&agg=last&fill=previous&columns=temp&look_back=3h`);
  assert.deepEqual(temps.map(clock), [
    ['10:00', 'a', 40],
    ['10:00', 'b', 7],
    ['10:00', null, 1],
  ]);
});

test('max_points keeps whole rows, first, last and extremes', async () => {
  const rows = await range(`${hour}&max_points=60`, 'wave');
  assert.ok(rows.length <= 60 && rows.length >= 20, String(rows.length));
  const highs = rows.map(([, , high]) => high);
  assert.ok(highs.includes(99) && highs.includes(-99));
  assert.equal(rows[0]?.[0], '2026-01-01T10:00:00Z');
  assert.equal(rows.at(-1)?.[0], '2026-01-01T10:59:59Z');
  assert.equal((await range(`${hour}&max_points=3600&max_rows=10000`, 'wave')).length, 3_600);
  assert.equal((await range(`${hour}&max_points=60&agg=avg`, 'wave')).length, 60);
});

test('days of a zone begin at its midnight', async () => {
  const rows = await range(
    'start=2025-12-31T00:00:00Z&end=2026-01-02&every=1d&agg=count&columns=temp&device=a&tz=Asia/Kolkata&fill=null',
  );
  assert.deepEqual(
    rows.map(([time, , count]) => [time, count]),
    [
      ['2025-12-31T00:00:00+05:30', 0],
      ['2026-01-01T00:00:00+05:30', 3],
    ],
  );
});

test('every format, ETag and dry runs, as of queries', async () => {
  const path = `/api/v1/range?table=machine&${hour}&device=a&every=1h&columns=temp`;
  const csv = await server.get(`${path}&format=csv`);
  assert.deepEqual(csv.text.trim().split(/\r?\n/), ['time,device,temp_avg', '2026-01-01T10:00:00Z,a,30']);
  const { headers } = await server.get(path);
  const again = await server.get(path, { headers: { 'if-none-match': headers.get('etag') ?? '' } });
  assert.equal(again.status, 304);
  const dry = await server.get(
    `${path}&dry_run=true&start=2020-01-01&end=2020-01-02`.replace(`${hour}&`, ''),
  );
  assert.equal(dry.body['files'], 0);
});

const refused: [query: string, text: RegExp][] = [
  ['sql=select+1', /sql: is not a parameter/],
  ['devise=a', /devise: is not a parameter/],
  ['start=soon', /start: must be/],
  ['start=2026-01-02&end=2026-01-01', /start: must be before end/],
  ['every=1x', /every: must be/],
  ['every=1ms&start=-1h', /every: makes more than/],
  ['every=1m&agg=mean', /agg: there is no mean/],
  ['every=1m&agg=constructor', /agg: there is no constructor/],
  ['agg=avg', /every: is missing/],
  ['fill=null', /fill: goes with every/],
  ['every=1m&fill=sometimes', /fill: must be/],
  ['every=1m&max_points=5', /max_points: goes with/],
  ['every=1m&columns=note', /agg: none of the columns/],
  ['columns=temp%22', /columns: there is no field/],
  ['format=xml', /format: must be one of/],
];
for (const [query, text] of refused)
  test(`refuses ${query}`, async () => {
    const { status, body } = await server.get(`/api/v1/tables/machine/range?${query}`);
    assert.deepEqual([status, body['code']], [400, 'bad_param']);
    assert.match(String(body['error']), text);
  });
