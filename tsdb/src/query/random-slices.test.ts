/**
 * The same answer from slices of files as from whole files, whatever is asked.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { isFailure } from '@varve/common/errors.js';
import { ask, Faraway } from './faraway.test.fixture.js';
import { QueryFixture } from './query.test.fixture.js';
import type { QueryEngine } from './query-engine.js';
import { conditions, dayUs, firstDayUs, statements } from './random-statements.test.fixture.js';

let fixture: QueryFixture;
let faraway: Faraway;
before(async () => {
  fixture = await QueryFixture.open();
  await fixture.put({
    table: 'a',
    tags: ['device'],
    fields: {
      n: 'long',
      u: 'string',
      x: { type: 'double', decimals: 2 },
      x__double: { type: 'double', sideOf: 'x' },
      z: 'boolean',
    },
    files: filesSql(
      'CASE WHEN i % 3 > 0 THEN i::DECIMAL(18,2) END AS x, CASE WHEN i % 3 = 0 THEN -i::DOUBLE END AS x__double, i % 2 = 0 AS z, i AS n',
    ),
    copyOptions,
  });
  await fixture.put({
    table: 'b',
    tags: ['device'],
    fields: { y: 'double' },
    files: filesSql('(i % 90)::DOUBLE AS y'),
    copyOptions,
  });
  await fixture.startEngine();
  // Room for a fifth of the files.
  const bytesMax = totalBytes(fixture) / 5;
  faraway = await Faraway.open(fixture, {
    bytesMax,
    slices: { fileBytesMin: 1, gapBytesMin: 100, pieceBytesMax: 3_000, shareMax: Infinity },
  });
});
after(async () => {
  await faraway.close();
  await fixture.close();
});

const copyOptions = 'FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048';

/** As the fixture of statements says; every half of a day is a file of two row groups, and no two rows have one time. */
function filesSql(fields: string): string[] {
  return Array.from({ length: 8 }, (_, half) => {
    const startUs = firstDayUs + half * (dayUs / 2);
    const [first, second] = half % 2 === 0 ? ["'dev-1'", "'dev-2'"] : ["'dev-3'", 'NULL'];
    return `SELECT make_timestamptz(${startUs} + (2 * i + d) * 10000000) AS time,
      CASE d WHEN 0 THEN ${first} ELSE ${second} END AS device, ${fields},
      CASE WHEN i % 5 > 0 THEN 'u' || i % 50 END AS u, make_timestamptz(${startUs})::DATE AS day
      FROM range(2) t(d), range(2048) r(i) ORDER BY d, i`;
  });
}

function totalBytes(tables: QueryFixture): number {
  return tables
    .current()
    .reduce((sum, { files }) => sum + [...files.values()].reduce((all, { bytes }) => all + bytes, 0), 0);
}

const lists = fc.constantFrom(
  ...['*', 'x', 'device, n', 'a', 'a.*', "columns('x|u')", '* exclude (x)', '#2', 'X, "N"', 'x as u, u as x'],
  ...['day, n % 7 as time', 'n, row_number() over (partition by device order by time) as place'],
  ...['struct_pack(s := a) as s', '* replace (n + 1 as n)', 'a.x, main.a.u', 'unnest(a)'],
  '(select max(b.y) from b where b.device = a.device) as most, n',
  "case when z then u else device end as what, x::varchar || '-' as text",
);
const aggregates = fc.constantFrom(
  ...['count(*)', 'avg(x), max(u)', 'max(u) filter (where x > 3 or z)', 'first(x, time), last(u, time)'],
  ...['count(a)', 'max(a)', 'count(distinct u) as n', "time_bucket('1 hour', time) as t, sum(x)"],
);
const sources = fc.oneof(
  fc.constantFrom('a', 'a', 'a', 'a as a', 'a natural join b', 'a join b using (device, time)'),
  fc.constantFrom("latest('a') as a", 'a as a(time, device, u, n, z, x, day)', '(from a) a'),
  fc.constant('(select time, device, day, x, n, u, z from a) a'),
  conditions('').map((condition) => `(select * from a where ${condition}) a`),
  conditions('b.').map((on) => `(select a.*, y from a left join b on a.time = b.time and ${on}) a`),
);
/** `time` may be a name of the list, whose values are not distinct; the column's are. */
const ends = fc.constantFrom('', '', ' order by time, a.time limit 50');
const ownStatements = fc.oneof(
  fc
    .tuple(lists, sources, conditions(''), ends)
    .map(([list, source, condition, end]) => `select ${list} from ${source} where ${condition}${end}`),
  fc
    .tuple(aggregates, sources, conditions(''))
    .map(([list, source, condition]) => `select ${list} from ${source} where ${condition} group by all`),
);
const pairs = fc.tuple(conditions(''), conditions(''));
const otherStatements = fc.oneof(
  conditions('').map(
    (c) =>
      `with c as (from a where ${c}), d as (select device, x, n from c) select device, sum(x) as x from d group by all`,
  ),
  pairs.map(([c, d]) => `select n from a where ${c} union all select y from b where ${d}`),
  pairs.map(([c, d]) => `select n, u from a where ${c} union all by name select y, day from b where ${d}`),
  conditions('').map((c) => `from (from a where ${c}) pivot (max(n) for z in (true, false) group by device)`),
  conditions('').map((c) => `from (summarize select x, u from a where ${c}) select column_name, count`),
  conditions('').map((c) => `select time, x from a where ${c} order by all limit 30`),
  conditions('').map((c) => `select n from a where x in (select y from b where ${c})`),
);

/** What the rows come to, or the code of the failure. */
async function outcome(engine: QueryEngine, sql: string): Promise<string> {
  try {
    const digest = `select count(*), sum(hash(q) % 1000000007)::varchar from (${sql}) as q`;
    return (await ask(engine, digest)).rows.join();
  } catch (error) {
    if (isFailure(error)) return error.code;
    throw error;
  }
}

test('the answer from slices is the answer from whole files', async () => {
  const runs = Number(process.env['VARVE_SLICES_RUNS'] ?? 150);
  let failed = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(statements, { weight: 2, arbitrary: ownStatements }, otherStatements),
      async (sql) => {
        const expected = await outcome(fixture.engine, sql);
        if (/^[a-z]/.test(expected)) failed += 1;
        assert.equal(await outcome(faraway.engine, sql), expected);
      },
    ),
    { numRuns: runs },
  );
  assert.ok(failed < runs / 4, `${failed} statements failed`);
  // A fifth of the statements want all columns and rows of some table, so that its 8 files are fetched whole.
  const { requests, downloads } = await faraway.traffic();
  assert.ok(requests > 10 * downloads, `${downloads} of ${requests} requests were for whole files`);
});
