/**
 * Functions of times, as they are written and in their quick form, over the same rows: the same columns, types and values.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import fc from 'fast-check';
import { printExpression, printSql, serializeSql } from './serialize-sql.js';
import { isNode } from './sql-tree.js';
import { quickenTimes } from './time-columns.js';

/** What a shipment may hold. */
const [firstUs, lastUs] = [Date.UTC(1684, 0, 1) * 1_000, Date.UTC(2255, 0, 1) * 1_000 - 1];

let connection: DuckDBConnection;
before(async () => {
  connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run("SET TimeZone = 'UTC'");
  const times = [
    firstUs,
    lastUs,
    0,
    -1,
    ...[
      '1970-01-01T00:00:00Z',
      '1999-12-31T23:59:59.999Z',
      '2000-01-03T00:00:00Z',
      '2024-02-29T12:00:00Z',
    ].map((text) => Date.parse(text) * 1_000),
    ...fc.sample(
      fc.maxSafeInteger().filter((us) => us >= firstUs && us <= lastUs),
      { numRuns: 500, seed: 1 },
    ),
    ...fc.sample(fc.integer({ min: 0, max: 2e9 }), { numRuns: 200, seed: 1 }).map((second) => second * 1e6),
  ];
  await connection.run(
    `CREATE TABLE walk AS SELECT make_timestamptz(us::BIGINT) AS time, us % 7 AS n, 'd' || (us % 3)::BIGINT AS device
      FROM (SELECT unnest([${times.join(', ')}]) AS us) UNION ALL SELECT NULL, 0, NULL`,
  );
  await connection.run('CREATE TABLE other AS FROM walk');
});
after(() => {
  connection.closeSync();
});

async function quicken(sql: string): Promise<string> {
  const [statement] = (await serializeSql(connection, sql)).statements ?? [];
  assert(statement && isNode(statement.node), sql);
  const node = await quickenTimes(statement.node, {
    columnsOf: ({ table_name: name }) =>
      name === 'walk' || name === 'other' ? ['time', 'n', 'device'] : undefined,
    print: (expression) => printExpression(connection, expression),
  });
  return node === statement.node ? sql : await printSql(connection, { ...statement, node });
}

async function answer(sql: string) {
  const reader = await connection.runAndReadAll(sql);
  const rows = reader.getRows().map((row) => row.map(String).join());
  return { names: reader.columnNames(), types: reader.columnTypes().map(String), rows: rows.sort() };
}

async function assertQuick(sql: string): Promise<void> {
  const quick = await quicken(sql);
  assert.notEqual(quick, sql);
  assert.deepEqual(await answer(quick), await answer(sql), quick);
}

const units = `microsecond millisecond second minute hour day week month quarter year decade century millennium isoyear`;
const parts = `century day decade dow doy hour isodow isoyear microseconds millennium milliseconds minute month quarter
  second week year yearweek`;
const functions = `century day dayname dayofmonth dayofweek dayofyear decade hour isodow isoyear microsecond millennium
  millisecond minute month monthname quarter second week weekday weekofyear year yearweek`;
const words = (text: string) => text.trim().split(/\s+/);

const expressions = [
  ...words(units)
    .filter((unit) => unit !== 'isoyear')
    .map((unit) => `date_trunc('${unit}', time)`),
  ...words(parts).map((part) => `date_part('${part}', time)`),
  ...words(functions).map((name) => `${name}(time)`),
  ...['1 day', '1 hour', '7 days', '90 seconds', '250 milliseconds', '1 month', '2 years'].map(
    (width) => `time_bucket('${width}', time)`,
  ),
  ...['time_bucket(interval 10 minutes, time)', 'time_bucket(to_hours(6), time)', 'extract(hour from time)'],
  ...['time::date', 'try_cast(time as date)', "date_trunc('DAY', time_bucket('1 hour', time))"],
  "hour(date_trunc('minute', time)) + minute(time)",
  ...['1 day', '7 days', '1 week', '1 month', '2 years'].flatMap((width) => [
    `time_bucket('${width}', time, 'Europe/Berlin')`,
    `time_bucket(interval '${width}', time, 'America/St_Johns')`,
  ]),
  "time_bucket(interval 3 days, time, 'Pacific/Auckland')",
  ...['1 day', '5 minutes', '1 month', '8 hours'].flatMap((width) => [
    `time_bucket('${width}', time, interval '6 hours')`,
    `time_bucket(interval '${width}', time, timestamptz '2026-01-01 00:01:00Z')`,
  ]),
];
for (const expression of expressions)
  test(`${expression} is the same`, () => assertQuick(`SELECT ${expression}, time FROM walk`));

test('buckets of any fixed width are the same', async () => {
  const widths = fc.integer({ min: 1, max: 400 * 86_400 });
  await fc.assert(
    fc.asyncProperty(widths, fc.constantFrom('seconds', 'milliseconds', 'microseconds'), (width, unit) =>
      assertQuick(`SELECT time_bucket('${width} ${unit}', time) AS t FROM walk`),
    ),
    { numRuns: 60 },
  );
});

const quickStatements = [
  "SELECT time_bucket('1 day', time) AS time, count(*) FROM walk GROUP BY time_bucket('1 day', time) ORDER BY 1",
  "SELECT time_bucket('1 day', w.time) AS t, max(n) FROM walk w GROUP BY t HAVING max(hour(w.time)) > 3",
  "SELECT date_trunc('year', time), count(*) FROM walk GROUP BY ALL",
  'SELECT time::date, count(*), 1.5::double FROM walk GROUP BY 1',
  "SELECT * FROM (SELECT time_bucket('1 day', time), n FROM walk WHERE hour(time) < 12)",
  "WITH c AS (SELECT time AS began, n FROM walk) SELECT date_trunc('month', began), sum(n) FROM c GROUP BY ALL",
  'SELECT hour(time) FROM (SELECT *, n + 1 AS m FROM walk)',
  "SELECT hour(t) FROM (SELECT time_bucket('1 hour', time) AS t FROM walk)",
  'SELECT hour(a.time), day(time) FROM walk a JOIN other b USING (time)',
  'SELECT hour(a.time) FROM walk a LEFT JOIN other b ON a.n = b.n AND a.time = b.time',
  "SELECT device, count(*) FILTER (WHERE hour(time) > 3) OVER (PARTITION BY date_trunc('day', time)) FROM walk",
  'SELECT hour(time) FROM walk UNION ALL SELECT minute(time) FROM other',
  "SELECT n FROM walk WHERE hour(time) BETWEEN 6 AND 13 AND time::date < '2100-01-01'",
  'SELECT (SELECT max(hour(time)) FROM other) AS most, n FROM walk',
  'SELECT n, time FROM walk QUALIFY row_number() OVER (PARTITION BY year(time) ORDER BY time, n) = 1',
];
for (const sql of quickStatements) test(`quick: ${sql}`, () => assertQuick(sql));

const plainStatements = [
  'SELECT n AS time, hour(time) FROM walk',
  'SELECT hour(time) FROM walk, (SELECT 1 AS one) o, range(3) r(i)',
  "WITH walk AS (SELECT DATE '2026-01-01' AS time) SELECT hour(time) FROM walk",
  'SELECT hour(time) FROM walk AS w(n, time, device)',
  'SELECT hour(time) FROM (SELECT n AS time FROM walk)',
  "SELECT hour(time) FROM (SELECT * REPLACE (DATE '2026-01-01' AS time) FROM walk)",
  "SELECT list_transform([TIMESTAMP '2026-01-01'], lambda time: hour(time)) FROM walk",
  "SELECT time_bucket('24 hours', time, 'Europe/Berlin') FROM walk",
  "SELECT time_bucket('1 day', time, concat('UTC', '')) FROM walk",
  "SELECT hour(time + INTERVAL 1 HOUR), strftime(time, '%H') FROM walk",
  'SELECT hour(walk.n.time) FROM walk',
  'SELECT count(*) FROM walk',
];
for (const sql of plainStatements)
  test(`as it is written: ${sql}`, async () => {
    assert.equal(await quicken(sql), sql);
  });

test('calls inside calls grow no faster than they are written', async () => {
  const nested = (depth: number): string =>
    depth === 0 ? 'time' : `date_trunc('day', ${nested(depth - 1)})`;
  const sql = `SELECT ${nested(100)} AS t FROM walk`;
  assert.ok((await quicken(sql)).length < 5 * sql.length);
});
