import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import fc from 'fast-check';
import type { TableColumns } from '@varve/common/contract/columns.js';
import { layoutOf, packBounds } from '../delta/file-bounds.js';
import type { DataFile, Snapshot } from '../delta/snapshot.js';
import { bind, planBinding, type Params } from './bind-params.js';
import { findReads } from './find-reads.js';
import { findTableOf } from './find-table.js';
import { planRows } from './plan-files.js';
import { serializeSql } from './serialize-sql.js';
import { guardSql } from './sql-guard.js';
import { dayUs, firstDayUs, statements } from './random-statements.test.fixture.js';
import { prunableTags, shownTypes } from './statements.js';
import type { SqlNode } from './sql-tree.js';

let instance: DuckDBInstance;
let connection: DuckDBConnection;

const noColumns: TableColumns = { tags: [], fields: [] };
/** Two files a day: one device each half of the day, so that time and tags both tell files apart. */
const filesOf = (table: string, columns: TableColumns = noColumns): DataFile[] =>
  Array.from({ length: 8 }, (_, number) => {
    const day = `2026-01-0${Math.floor(number / 2) + 1}`;
    const minTimeUs = firstDayUs + number * (dayUs / 2);
    const [min, max] = number % 2 === 0 ? ['dev-1', 'dev-2'] : ['dev-3', 'dev-3'];
    return {
      path: `${table}-${number}`,
      key: `${table}-${number}`,
      day,
      bytes: 1,
      level: 0,
      addedMs: 0,
      rowCount: 12,
      minTimeUs,
      maxTimeUs: minTimeUs + 11 * 3_600_000_000,
      bounds: packBounds(layoutOf(columns), { minValues: { device: min }, maxValues: { device: max } }, true),
    };
  });
const snapshotOf = (table: string, field: string): Snapshot => {
  const columns: TableColumns = { tags: [{ name: 'device' }], fields: [{ name: field, type: 'double' }] };
  const files = filesOf(table, columns);
  return {
    name: { database: 'main', table },
    version: 0,
    columns,
    files: new Map(files.map((file) => [file.path, file])),
    transactions: new Map(),
  };
};
const snapshots = [snapshotOf('a', 'x'), snapshotOf('b', 'y')];

/** Twelve hours, a row each; nulls among devices and fields. */
const rowsSql = (snapshot: Snapshot, chosen: ReadonlySet<string>): string => {
  const [field] = snapshot.columns.fields;
  const parts = [...snapshot.files.values()]
    .filter(({ path }) => chosen.has(path))
    .map(
      ({ minTimeUs, day }) => `SELECT make_timestamptz(${minTimeUs} + i * 3600000000) AS time,
        CASE WHEN ${minTimeUs} // ${dayUs / 2} % 2 = 1 THEN 'dev-3' WHEN i % 5 = 0 THEN NULL
          ELSE 'dev-' || (i % 2 + 1) END AS device,
        CASE WHEN i % 4 = 0 THEN NULL ELSE i END::DOUBLE AS ${field?.name ?? ''}, DATE '${day}' AS day
        FROM range(12) r(i)`,
    );
  const none = `SELECT NULL::TIMESTAMPTZ AS time, NULL::VARCHAR AS device, NULL::DOUBLE AS ${field?.name ?? ''}, NULL::DATE AS day WHERE false`;
  return [none, ...parts].join(' UNION ALL ');
};

before(async () => {
  instance = await DuckDBInstance.create(':memory:');
  connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  const all = new Set(snapshots.flatMap(({ files }) => [...files.keys()]));
  for (const snapshot of snapshots)
    await connection.run(`CREATE TABLE all_${snapshot.name.table} AS ${rowsSql(snapshot, all)}`);
  for (const { path, minTimeUs, maxTimeUs } of snapshots.flatMap(({ files }) => [...files.values()]))
    await connection.run(
      `CREATE TABLE "${path}" AS FROM all_${path.slice(0, 1)} WHERE epoch_us(time) BETWEEN ${minTimeUs} AND ${maxTimeUs}`,
    );
});
after(() => {
  connection.closeSync();
  instance.closeSync();
});

const nowUs = firstDayUs + 5 * dayUs;

async function plan(sql: string, params: Params = []): Promise<Map<string, string[]>> {
  const serialized = await serializeSql(connection, sql);
  const { tables } = guardSql(sql, serialized, snapshots);
  const root = serialized.statements?.[0]?.node as SqlNode;
  const reads = findReads(root, (node) => findTableOf(node, snapshots, 'main'), shownTypes);
  const planned = (snapshot: Snapshot): [string, string[]] => {
    const conditions = reads.filter(({ table }) => table === snapshot).map(({ condition }) => condition);
    const facts = { tags: prunableTags(snapshot.columns), context: { params, nowUs } };
    const mayHold = planRows(conditions, facts) ?? (() => true);
    return [snapshot.name.table, [...snapshot.files.values()].filter(mayHold).map(({ path }) => path)];
  };
  return new Map(tables.map(planned));
}

const chosenOf = async (sql: string, params?: Params) =>
  [...(await plan(sql, params)).values()].flat().join(' ');

const prunes: [sql: string, files: string, params?: Params][] = [
  ["select * from a where time >= '2026-01-04 12:00:00'", 'a-7'],
  ["select * from a where time < '2026-01-01 12:00'", 'a-0'],
  ["select * from a where '2026-01-04T12:00:00Z' <= time", 'a-7'],
  ["select * from a where time between '2026-01-02' and timestamptz '2026-01-02 11:00:00Z'", 'a-2'],
  ["select * from a where time >= '2026-01-04T14:00:00+02:00'", 'a-7'],
  ["select * from a where time::date = '2026-01-02'", 'a-2 a-3'],
  ["select * from a where date_trunc('day', time) = '2026-01-02' and device = 'dev-3'", 'a-3'],
  ["select * from a where time_bucket('12 hours', time) >= '2026-01-04 12:00'", 'a-7'],
  ["select * from a where day = '2026-01-02'", 'a-2 a-3'],
  [
    "select * from a where day in ('2026-01-02', date '2026-01-03') and device in ('dev-3', 'dev-9')",
    'a-3 a-5',
  ],
  ["select * from a where device not in ('dev-3') and day = '2026-01-01'", 'a-0'],
  ["select * from a where not (time < '2026-01-04 12:00:00')", 'a-7'],
  [
    "select * from a where (time < '2026-01-01 12:00' or time > '2026-01-04 12:00') and (device = 'dev-3' or x > 3)",
    'a-0 a-7',
  ],
  ["select * from a where device = 'dev-9'", ''],
  ['select * from a where device = $1 and time >= $2', 'a-7', ['dev-3', '2026-01-04']],
  [
    'select * from a where device = any($devices) and day = $day',
    'a-3',
    { devices: ['dev-3'], day: '2026-01-02' },
  ],
  [
    'select * from a where device in $devices and time > to_timestamp($from)',
    'a-7',
    { devices: ['dev-3'], from: 1767488400 },
  ],
  ['select * from a where time > now() - interval 36 hours', 'a-7'],
  ["select * from a where time > current_timestamp - interval '1 day 0'", 'a-0 a-1 a-2 a-3 a-4 a-5 a-6 a-7'],
  [
    "with recent as (select * from a where time >= '2026-01-03'), r as (from recent) select avg(x) from r where time < '2026-01-03 12:00'",
    'a-4',
  ],
  [
    "select * from (select time as t, device d from a) q where q.t >= '2026-01-04 12:00:00' and d = 'dev-3'",
    'a-7',
  ],
  [
    "select d, n from (select device d, day, count(*) n from a group by all) where day = '2026-01-01' and n > 1",
    'a-0 a-1',
  ],
  [
    "select * from a join b using (device, time) where time >= '2026-01-04 12:00:00' and device = 'dev-3'",
    'a-7 b-7',
  ],
  [
    "select * from a left join b on a.time = b.time and b.day = '2026-01-04' where a.day = '2026-01-01' and device = 'dev-3'",
    'a-0 a-1 b-6 b-7',
  ],
  [
    "select * from a where exists (select 1 from b where b.time = a.time and b.day = '2026-01-01') and day = '2026-01-02'",
    'a-2 a-3 b-0 b-1',
  ],
  [
    "select 1 from a where day = '2026-01-01' union all select 2 from a where day = '2026-01-02'",
    'a-0 a-1 a-2 a-3',
  ],
];
for (const [sql, files, params] of prunes)
  test(`reads only what it needs: ${sql}`, async () => assert.equal(await chosenOf(sql, params), files));

const all = (...tables: string[]) =>
  tables.flatMap((table) => filesOf(table).map(({ path }) => path)).join(' ');
const whole: [sql: string, tables: string[], params?: Params][] = [
  ["select * from (select * from a limit 5) where day = '2026-01-01'", ['a']],
  ["select * from (select *, row_number() over () n from a) where day = '2026-01-01'", ['a']],
  ["select * from (select distinct on (device) * from a) where day = '2026-01-01'", ['a']],
  ["select * from (select max(time) as time from a) where time > '2026-01-04'", ['a']],
  ["select * from (select time + interval 1 day as time from a) where time > '2026-01-04'", ['a']],
  ["select * from a asof left join b on a.time >= b.time where b.device = 'dev-3'", ['a', 'b']],
  ["select * from a positional join b where a.day = '2026-01-01'", ['a', 'b']],
  ['select * from a left join b using (time) where b.time is null', ['a', 'b']],
  ["select * from a where device is distinct from 'dev-3'", ['a']],
  ["select * from a where device = 'dev-9' collate nocase", ['a']],
  ["select * from a where time > 'yesterday'", ['a']],
  ['select * from a where device = $1 or x = 1', ['a'], ['dev-9']],
  ["select * from a tablesample 10 rows where day = '2026-01-01'", ['a']],
  ['select * from a union all by name select * from b', ['a', 'b']],
  ["select * from (select time from a union all select 'x') where time < '2026-01-01T00:00:00Z'", ['a']],
  [
    "with recursive a2 as (select time from a union all select time from a2 where false) select * from a2 where time > '2026-01-04'",
    ['a'],
  ],
  ['select (select max(b.time) from b where b.device = a.device) from a', ['a', 'b']],
];
for (const [sql, tables, params] of whole)
  test(`reads everything where that may matter: ${sql}`, async () =>
    assert.deepEqual(
      (await chosenOf(sql, params)).split(' ').sort(),
      all(...tables)
        .split(' ')
        .sort(),
    ));

/** The rows, whatever their order, with the tables holding what `files` names. */
async function answer(
  sql: string,
  files: ReadonlyMap<string, readonly string[]> | undefined,
): Promise<string> {
  for (const { name } of snapshots) {
    const parts = files?.get(name.table)?.map((path) => `FROM "${path}"`);
    const shown = parts
      ? [`FROM all_${name.table} WHERE false`, ...parts].join(' UNION ALL ')
      : `FROM all_${name.table}`;
    await connection.run(`CREATE OR REPLACE VIEW ${name.table} AS ${shown}`);
  }
  try {
    const prepared = await connection.prepare(sql);
    bind(prepared, planBinding([], []));
    const reader = await prepared.runAndReadAll();
    return JSON.stringify(
      reader
        .getRowsJson()
        .map((row) => JSON.stringify(row))
        .sort(),
    );
  } catch (error) {
    return `failed: ${String(error).split('\n')[0] ?? ''}`;
  }
}

test('the answer is the same with the files that are planned as with all', async () => {
  const runs = Number(process.env['VARVE_PRUNING_RUNS'] ?? 300);
  let passedOver = 0;
  let failed = 0;
  await fc.assert(
    fc.asyncProperty(statements, async (sql) => {
      const files = await plan(sql);
      const expected = await answer(sql, undefined);
      if (expected.startsWith('failed')) {
        failed += 1;
        return;
      }
      if ([...files.values()].some((chosen) => chosen.length < 8)) passedOver += 1;
      assert.equal(await answer(sql, files), expected, JSON.stringify([...files]));
    }),
    { numRuns: runs },
  );
  assert.ok(
    passedOver > 20 && failed < runs / 4,
    `files were passed over ${passedOver} times, ${failed} statements failed`,
  );
});
