import assert from 'node:assert/strict';
import { memoryUsage } from 'node:process';
import { after, before, test } from 'node:test';
import { isFailure, type FailureCode } from '@varve/common/errors.js';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';

let fixture: QueryFixture;
before(async () => {
  fixture = await QueryFixture.open();
  await fixture.put({
    table: 'environment',
    tags: ['device'],
    fields: { temperature: 'double', note: 'string' },
    files: [
      `select timestamptz '2026-01-01' + to_seconds(i) as time, 'press-' || (i % 3) as device, i / 10 as temperature,
       'ok' as note, date '2026-01-01' as day from range(10000) r(i)`,
    ],
  });
  await fixture.startEngine();
});
after(() => fixture.close());

async function ask(sql: string, params: string[] = []): Promise<unknown[][]> {
  const answer = await fixture.engine.query({ sql, params }, new AbortController().signal);
  let text = '';
  for await (const piece of renderAnswer(answer)) text += String(piece);
  return (JSON.parse(text) as { rows: unknown[][] }).rows;
}

/** `s||s||…` */
const joined = (count: number) => Array.from({ length: count }, () => 's').join('||');

const tooLarge = 'memory_limit_exceeded';
const unbounded = 'sql_not_allowed';
const attacks: [sql: string, code: FailureCode][] = [
  ["select length(repeat('x', 4000000000))", tooLarge],
  ["select length(repeat('x', 2000000 * 2000))", unbounded],
  ["select length(repeat('x', cast(4e9 as bigint)))", tooLarge],
  ["select length(repeat('x', temperature)) from environment", unbounded],
  ["select length(repeat('x', (select 4000000000)))", unbounded],
  ["select length(repeat('x', cast(temperature as int) % -1000000000)) from environment", tooLarge],
  ["select length(repeat('x', 10 - -1000000000))", unbounded],
  ["select length(repeat('x', greatest(10, 1000000000)))", tooLarge],
  ["select length(repeat('x', least(temperature, 1000000000))) from environment", tooLarge],
  ["select length(repeat('x', coalesce(temperature::int % 10, 1000000000))) from environment", tooLarge],
  [
    "select length(repeat('x', case when temperature > 1 then 1000000000 else 1 end)) from environment",
    tooLarge,
  ],
  ["select length(repeat('x', $1))", unbounded],
  ["select length(repeat(repeat(repeat('x', 1000), 1000), 1000))", tooLarge],
  ["select length(repeat(repeat('x', length(repeat('x', 1000))), 1000))", tooLarge],
  ["select repeat('x', 1000) as a, repeat(a, 1000) as b, length(repeat(b, 1000))", tooLarge],
  [
    "with a as (select repeat('x', 1000) s), b as (select repeat(s, 1000) s from a) select length(s) from b",
    tooLarge,
  ],
  ["select length(repeat(s, 1000)) from (select repeat('x', 1000) as s)", tooLarge],
  ["select length(repeat((select repeat('x', 1000)), 1000))", tooLarge],
  ["select length(repeat(s, 1000)) from (values (repeat('x', 1000))) v(s)", tooLarge],
  ['select length(repeat(s, 1000)) from environment, lateral (select repeat(device, 1000)) l(s)', tooLarge],
  ["select l.s || l.s from environment e join (select repeat('x', 40000)) l(s) on true", tooLarge],
  ["select octet_length(repeat('x'::blob, 1000000000))", tooLarge],
  ['select len(repeat([1], 1000000000))', tooLarge],
  ["select length(lpad('x', 4000000000, 'ab'))", tooLarge],
  ["select length(rpad(device, temperature::int, 'ab')) from environment", unbounded],
  ["select length(bitstring('1', 2000000000))", tooLarge],
  ["select length(format('{:>2000000000}', 'x'))", tooLarge],
  ["select length(format('{:{}}', 'x', 2000000000))", unbounded],
  ["select length(format('{:>' || '2000000000}', 'x'))", unbounded],
  ["select length(printf('%2000000000d', 1))", tooLarge],
  ["select length(printf('%.2000000000f', 1.0))", tooLarge],
  ["select length(printf('%*d', 2000000000, 1))", unbounded],
  ["select length(strftime(now(), repeat('%A', 30000)))", tooLarge],
  ['select len(range(1000000000))', tooLarge],
  ['select len(range(0, 1000000000, 1))', tooLarge],
  ['select len(range(1000000000, 0, -1))', tooLarge],
  ['select len(range(0, least(-temperature::bigint, 10), -1)) from environment', unbounded],
  ['select len(generate_series(1, temperature::bigint)) from environment', unbounded],
  ["select len(generate_series(timestamptz '1970-01-01', now(), interval 1 microsecond))", tooLarge],
  ["select len(generate_series(timestamptz '2020-01-01', now(), interval 1 hour))", tooLarge],
  ["select len(generate_series(now(), timestamptz '2320-01-01', interval 1 day))", tooLarge],
  [
    "select len(generate_series(timestamptz '1970-01-01', timestamptz '2026-01-01', interval 1 second))",
    tooLarge,
  ],
  ['select len(list_resize([1], 1000000000))', tooLarge],
  ["select len(list_transform(range(8000), lambda x: repeat('x', 8000)))", tooLarge],
  [
    'select len(list_transform(range(1000), lambda x: list_transform(range(1000), lambda y: range(100))))',
    tooLarge,
  ],
  ["select len(list_reduce(list_transform(range(40), lambda y: 'x'), lambda a, b: a || a))", tooLarge],
  ['select len(list_reduce([[1] for y in range(40)], lambda a, b: a + a))', tooLarge],
  [
    "select list_reduce([device, 'xx', 'xx', 'xx'], lambda a, b: replace(a, 'x', b)) from environment",
    tooLarge,
  ],
  [
    "select len(list_select(['x'], range(8000)))  + len(list_select([repeat('x', 8000)], [1 for x in range(1000)]))",
    tooLarge,
  ],
  ["select length(replace(repeat('x', 10000), 'x', repeat('x', 10000)))", tooLarge],
  ["select length(regexp_replace(repeat('x', 10000), '.', repeat('x', 10000), 'g'))", tooLarge],
  ["select length(regexp_replace(repeat('x', 10000), '.*', repeat('\\0', 10000)))", tooLarge],
  ["select length(array_to_string(range(8000), repeat('x', 10000)))", tooLarge],
  ["select length(concat_ws(repeat('x', 10000), 1, 2, 3, 4, 5, 6, 7, 8))", tooLarge],
  ["select len(regexp_extract_all(repeat('x', 30000), ''))", tooLarge],
  ["select len(string_split(repeat('x', 30000), ''))", tooLarge],
  [
    'select list_sum(list_transform(range(1000), lambda x: length(repeat(device, 1000)))) from environment',
    tooLarge,
  ],
  [
    "select t from (select repeat(device, 500) as s from environment) a, lateral (select replace(a.s, 'x', a.s) as t)",
    tooLarge,
  ],
  ["select len(generate_series(timestamptz '1970-01-01', now(), interval 1 minute))", tooLarge],
  [
    `with recursive r as (select 'x' as s union all select ${joined(8)} from r) select max(length(s)) from r`,
    tooLarge,
  ],
  ['select map_concat(map(range(1000), range(1000)), map(range(1000, 2000), range(1000)))', tooLarge],
  ["select json_merge_patch(('{' || repeat(' ', 9000) || '}')::json, '{}'::json)", tooLarge],
  ["select damerau_levenshtein(repeat('a', 20000), repeat('b', 20000))", tooLarge],
  ["select length(json_pretty(repeat('[', 5000) || repeat(']', 5000)))", tooLarge],
  ["select from_json('[1]', '\"INT[100000]\"')", tooLarge],
  ["select '[1]'::int[100000]", tooLarge],
  ['select null::int[1000][1000]', tooLarge],
  [`select sum(length(${joined(900)})) from (select device as s from environment)`, tooLarge],
  [
    `with a as (select ${joined(50)} s from (select device as s from environment)), b as (select ${joined(50)} s from a),
    c as (select ${joined(50)} s from b) select max(length(s)) from c`,
    tooLarge,
  ],
  [
    `with recursive r as (select 'x' as s union all select ${joined(50)} from r) select max(length(s)) from r limit 9`,
    tooLarge,
  ],
  [
    "with recursive r as (select 'x' as s union all select s || s from r) select max(length(replace(s, 'x', s))) from r",
    tooLarge,
  ],
  [
    `select concat(${Array.from({ length: 10_000 }, () => 'device')
      .join(',')
      .slice(0, 60_000)}device) from environment`,
    tooLarge,
  ],
  [
    "select time_bucket_gapfill('1 minute', time), length(repeat('x', 4000000000)) from environment group by 1",
    tooLarge,
  ],
  ["select 1 from environment where length(repeat('x', 4000000000)) > 1", tooLarge],
  ["select 1 from environment e join environment f on length(repeat('x', 4000000000)) > 1", tooLarge],
  ["select 1 from environment order by repeat('x', 4000000000)", tooLarge],
  ["select count(*) filter (where length(repeat('x', 4000000000)) > 1) from environment", tooLarge],
  ["select sum(1) over (partition by repeat('x', 4000000000)) from environment", tooLarge],
  ["select 1 union all select length(repeat('x', 4000000000))", tooLarge],
  ["from unnest([repeat('x', 4000000000)])", tooLarge],
  ["from environment pivot (max(repeat(device, 1000000000)) for note in ('ok'))", tooLarge],
  ["select columns(c -> c like repeat('x', 1000000000)) from environment", tooLarge],
];
for (const [sql, code] of attacks)
  test(`refused: ${sql.slice(0, 150)}`, async () => {
    await assert.rejects(
      fixture.engine.plan({ sql, params: ['1'].slice(0, sql.includes('$1') ? 1 : 0) }),
      (error) => {
        assert.ok(isFailure(error, code), String(error));
        assert.ok(error.hint);
        return true;
      },
    );
  });

const nested = [
  `select ${"repeat('x', least(1, length(".repeat(200)}'x'${')))'.repeat(200)}`,
  `select ${'list_reduce([1], lambda a, b: '.repeat(3)}${Array.from({ length: 500 }, () => 'a * b').join(' - ')}${')'.repeat(3)}`,
  `select ${'list_transform([1], lambda x: '.repeat(40)}x${')'.repeat(40)}`,
];
for (const sql of nested)
  test(`looked at quickly: ${sql.slice(0, 100)}`, async () => {
    const startMs = performance.now();
    await fixture.engine.plan({ sql }).catch((error: unknown) => assert.ok(isFailure(error)));
    assert.ok(performance.now() - startMs < 1_000);
  });

test('says where, why and what to write instead', async () => {
  await assert.rejects(
    fixture.engine.plan({ sql: 'select 1,\n repeat(device, temperature::int) from environment' }),
    (error) => {
      assert.ok(isFailure(error, unbounded));
      assert.equal(error.message, 'how much repeat would make cannot be told before it runs');
      assert.equal(error.hint, 'say how much it may be at most: a number, or such as least(x, 100)');
      assert.deepEqual(error.facts, { position: 12, line: 2, column: 2 });
      return true;
    },
  );
});

const useful: [sql: string, answer: unknown, params?: string[]][] = [
  ["select lpad('7', 10, '0')", '0000000007'],
  ["select rpad(device, 12, '.') from environment order by time limit 1", 'press-0.....'],
  ["select repeat('-', 20)", '-'.repeat(20)],
  ["select length(repeat('-', 60000))", 60_000],
  ["select repeat('#', least(temperature::int, 30)) from environment where temperature = 3 ", '###'],
  [
    "select repeat(' ', 12 - length(device)) || device from environment order by time limit 1",
    '     press-0',
  ],
  ['select bar(3, 0, 10, 10)', '███       '],
  ["select format('{:>8.2f} °C in {}', 21.456, 'hall 7')", '   21.46 °C in hall 7'],
  ["select printf('%05d', 42)", '00042'],
  ["select strftime(timestamptz '2026-01-01', '%A %d.%m.%Y')", 'Thursday 01.01.2026'],
  ['select len(range(24)) + len(generate_series(0, 1439)) + len(range(10, 0, -2))', 24 + 1_440 + 5],
  ["select len(generate_series(timestamptz '2026-01-01', timestamptz '2026-02-01', interval 1 hour))", 745],
  ['select len(range(now() - interval 1 day, now(), interval 1 hour))', 24],
  ['select sum(x) from range(10000000) r(x)', 49_999_995_000_000],
  [
    'select count(*) from (select min(time) as a, max(time) as b from environment), generate_series(a, b, interval 1 minute) s(t)',
    167,
  ],
  ['select list_sum([x * x for x in range(100) if x % 2 = 0])', 161_700],
  ['select list_reduce([1, 2, 3], lambda a, b: a + b)', 6],
  ["select list_reduce(['a', 'b', 'c'], lambda a, b: a || ', ' || b)", 'a, b, c'],
  [
    'select len(list_transform(list(temperature order by time), lambda x: round(x * 1.8 + 32, 1))) from environment',
    10_000,
  ],
  ["select length(string_agg(device || ':' || temperature, ', ')) > 100000 from environment", true],
  [
    "select replace(replace(replace(upper(trim(device)), 'Ä', 'AE'), 'Ö', 'OE'), '-', ' ') from environment limit 1",
    'PRESS 0',
  ],
  ["select regexp_replace(device, '^press-(\\d)$', 'P\\1') from environment order by time limit 1", 'P0'],
  [
    `select length(concat_ws(';', ${Array.from({ length: 100 }, () => 'device').join(', ')})) from environment limit 1`,
    799,
  ],
  [
    `select length(${Array.from({ length: 50 }, () => "device || ','").join(' || ')}) from environment limit 1`,
    400,
  ],
  [
    `select ${Array.from({ length: 300 }, (_, at) => `temperature * ${at}`).join(' + ')} from environment where temperature = 1`,
    44_850,
  ],
  [
    "with recursive p as (select 1 as n, 'a' as path union all select n + 1, path || '/' || n from p where n < 5) select max(path) from p",
    'a/1/2/3/4',
  ],
  [
    "select json_extract_string(to_json({ d: device, t: [temperature] }), '$.d') from environment order by time limit 1",
    'press-0',
  ],
  ['select len(map_keys(map_concat(map(range(100), range(100)), map(range(100, 200), range(100)))))', 200],
  ["select levenshtein(device, 'press-1') from environment order by time limit 1", 1],
  ["select lpad($1, 6, '0')", '000042', ['42']],
  [
    "select count(*) from (select unnest(string_split('1:2 3:4 5:6', ' ')) as bin) where split_part(bin, ':', 1)::int > 1",
    2,
  ],
];
for (const [sql, answer, params] of useful)
  test(`answered: ${sql.slice(0, 150)}`, async () =>
    assert.deepEqual((await ask(sql, params))[0]?.[0], answer));

/** The most that is let through, for many rows. */
const largest = [
  'select sum(length(repeat(device, 2000))) from environment',
  "select sum(length(lpad(device, 16000, 'x'))) from environment",
  'select sum(len(list_transform(range(1500), lambda x: x + temperature))) from environment',
  `select sum(length(${joined(80)})) from (select device as s from environment)`,
  "select sum(length(replace(repeat(device, 100), 'press', repeat('x', 75)))) from environment",
];
for (const sql of largest)
  test(`stays small: ${sql.slice(0, 150)}`, async () => {
    await ask('select count(*) from environment');
    const atStart = memoryUsage.rss();
    let peak = 0;
    const timer = setInterval(() => (peak = Math.max(peak, memoryUsage.rss())), 2);
    await ask(sql);
    clearInterval(timer);
    assert.ok(peak - atStart < 100e6, `${Math.round((peak - atStart) / 1e6)} MB more`);
  });
