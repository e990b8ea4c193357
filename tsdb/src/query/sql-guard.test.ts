import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { Failure, type FailureCode } from '@varve/common/errors.js';
import type { Snapshot } from '../delta/snapshot.js';
import { allowedFunctions, allowedTableFunctions } from './allowed-functions.js';
import { lttbPicker } from './lttb.js';
import { refusedFunctions } from './refused-functions.js';
import { serializeSql } from './serialize-sql.js';
import { tableLabel } from './find-table.js';
import { guardSql } from './sql-guard.js';

let instance: DuckDBInstance;
let connection: DuckDBConnection;
before(async () => {
  instance = await DuckDBInstance.create(':memory:');
  connection = await instance.connect();
});
after(() => {
  connection.closeSync();
  instance.closeSync();
});

const table = (name: string, database = 'main'): Snapshot => ({
  name: { database, table: name },
  version: 0,
  columns: { tags: [], fields: [] },
  files: new Map(),
  transactions: new Map(),
});
const snapshots = [table('environment'), table('energy'), table('runs', 'lab')];

const guard = async (sql: string) => guardSql(sql, await serializeSql(connection, sql), snapshots);

async function failureOf(sql: string): Promise<Failure> {
  try {
    await guard(sql);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: `was let through: ${sql}` });
}

const allowed: [sql: string, ...tables: string[]][] = [
  ['select 1'],
  ['select 1;'],
  ['values (1), (2)'],
  ['from environment', 'environment'],
  ['table environment', 'environment'],
  ['select * from Environment e', 'environment'],
  ['select * from main.environment', 'environment'],
  ['select * from lab.runs', 'lab.runs'],
  ['from environment semi join energy using (device)', 'environment', 'energy'],
  ['select * from environment asof join energy using (device, time)', 'environment', 'energy'],
  [
    'select * from environment, lateral (select * from energy where a = environment.a)',
    'environment',
    'energy',
  ],
  ['select (select max(a) from energy) from environment', 'environment', 'energy'],
  ['with e as (from environment) from e', 'environment'],
  ['with E as (from environment) from e', 'environment'],
  ['with environment as (from environment) from environment', 'environment'],
  ['with a as (select 1), b as (from a) from b, a'],
  ['with recursive c as (select 1 as i union all select i + 1 from c where i < 9) from c'],
  ['with c as materialized (from energy) select (select count(*) from c)', 'energy'],
  ['describe environment', 'environment'],
  ['summarize select a from environment', 'environment'],
  ['select * from (describe energy)', 'energy'],
  ["select * from environment pivot (sum(a) for b in ('x', 'y'))", 'environment'],
  ['from environment unpivot (v for k in (a, b))', 'environment'],
  ['select * from range(3) r(i), generate_series(1, 2), unnest([1, 2])'],
  ["select * from json_each('[1]')"],
  [
    "select time_bucket(interval '1 minute', time), avg(a) from environment group by all order by all",
    'environment',
  ],
  ['select sum(a) over w, row_number() over () from environment window w as (partition by b)', 'environment'],
  [
    "select 'a' || b, a + 1, -a, a % 2, a ** 2, not a, a like 'b%', a ~ 'c', a is null, a in (1, 2) from energy",
    'energy',
  ],
  [
    'select list_transform([1, 2], x -> x + 1), [x for x in [1] if x > 0], {a: 1}, map {1: 2}, a[1:2] from energy',
    'energy',
  ],
  ["select upper('a'), 'a'::varchar, try_cast('1' as int), date '2026-01-01', interval 3 days, 5!"],
  ["select a.b.c, columns('a.*'), * exclude (b) replace (1 as c) from energy a", 'energy'],
  ["select current_date, now(), extract(hour from time), time at time zone 'CET' from energy", 'energy'],
  ['select count(*) filter (where a), coalesce(a, b), case when a then b end from energy', 'energy'],
  ['select a from energy qualify row_number() over (order by a) = 1 limit 10 offset 2', 'energy'],
  ['select a from energy limit 10%', 'energy'],
  ['select distinct on (a) b from energy tablesample 10%', 'energy'],
  ['select 1 union all (select 2 except select 3) order by 1'],
  ["select 'read_csv(1)', \"read_text\" from energy -- read_blob('x')", 'energy'],
];
for (const [sql, ...tables] of allowed)
  test(`allowed: ${sql}`, async () => {
    const names = (await guard(sql)).tables.map(tableLabel);
    assert.deepEqual(names.sort(), tables.sort());
  });

const refused: [sql: string, code: FailureCode][] = [
  // Files as tables, wherever a table can stand.
  ["select * from 'x.parquet'", 'table_not_found'],
  ['select * from "x.csv"', 'table_not_found'],
  ["from '/etc/passwd'", 'table_not_found'],
  ["from 's3://bucket/x.parquet'", 'table_not_found'],
  ["table 'x.json'", 'table_not_found'],
  ["describe 'x.parquet'", 'table_not_found'],
  ["summarize 'x.parquet'", 'table_not_found'],
  ["select * from (from 'x.csv')", 'table_not_found'],
  ["select (select 1 from 'x.csv')", 'table_not_found'],
  ["select exists (from 'x.csv')", 'table_not_found'],
  ["select 1 in (select 1 from 'x.csv')", 'table_not_found'],
  ["select 1 = any (select 1 from 'x.csv')", 'table_not_found'],
  ["select array(select 1 from 'x.csv')", 'table_not_found'],
  ["select case when (select true from 'x.csv') then 1 end", 'table_not_found'],
  ["select case when true then 1 else (select 1 from 'x.csv') end", 'table_not_found'],
  ["select 1 between 0 and (select 1 from 'x.csv')", 'table_not_found'],
  ["select cast((select 1 from 'x.csv') as int)", 'table_not_found'],
  ["select (select 1 from 'x.csv')::int[][1]", 'table_not_found'],
  ["select {a: (select 1 from 'x.csv')}", 'table_not_found'],
  ["select [x for x in (select [1] from 'x.csv')]", 'table_not_found'],
  ["select list_transform([1], x -> (select 1 from 'x.csv'))", 'table_not_found'],
  ["select * replace ((select 1 from 'x.csv') as a) from energy", 'table_not_found'],
  ["select columns(x -> (select true from 'x.csv')) from energy", 'table_not_found'],
  ["select 1 from energy where (select true from 'x.csv')", 'table_not_found'],
  ["select 1 from energy group by (select 1 from 'x.csv')", 'table_not_found'],
  ["select 1 from energy group by grouping sets (((select 1 from 'x.csv')))", 'table_not_found'],
  ["select 1 from energy having (select true from 'x.csv')", 'table_not_found'],
  ["select 1 from energy qualify (select true from 'x.csv')", 'table_not_found'],
  ["select 1 from energy order by (select 1 from 'x.csv')", 'table_not_found'],
  ["select 1 from energy limit (select 1 from 'x.csv')", 'table_not_found'],
  ["select 1 from energy offset (select 1 from 'x.csv')", 'table_not_found'],
  ["select distinct on ((select 1 from 'x.csv')) 1 from energy", 'table_not_found'],
  ["select sum(1) filter (where (select true from 'x.csv')) from energy", 'table_not_found'],
  ["select list(a order by (select 1 from 'x.csv')) from energy", 'table_not_found'],
  ["select sum(a) over (partition by (select 1 from 'x.csv')) from energy", 'table_not_found'],
  ["select sum(a) over (order by (select 1 from 'x.csv')) from energy", 'table_not_found'],
  ["select sum(a) over (rows (select 1 from 'x.csv') preceding) from energy", 'table_not_found'],
  ["select 1 from energy join energy e on (select true from 'x.csv')", 'table_not_found'],
  ["select 1 from energy, lateral (from 'x.csv')", 'table_not_found'],
  ["select 1 from energy positional join 'x.csv'", 'table_not_found'],
  ["select 1 union all select 1 from 'x.csv'", 'table_not_found'],
  ["values ((select 1 from 'x.csv'))", 'table_not_found'],
  ["from (values ((select 1 from 'x.csv'))) t", 'table_not_found'],
  ["from range((select 1 from 'x.csv'))", 'table_not_found'],
  ["from unnest((select [1] from 'x.csv'))", 'table_not_found'],
  ["from 'x.csv' pivot (sum(a) for b in (1))", 'table_not_found'],
  ["from energy pivot (sum((select 1 from 'x.csv')) for b in (1))", 'table_not_found'],
  ["from 'x.csv' unpivot (a for b in (c))", 'table_not_found'],
  ["select * from energy tablesample 10% join 'x.csv' on true", 'table_not_found'],
  // CTEs that lend their name to a file.
  ["with a as (from 'x.csv') select 1", 'table_not_found'],
  ["with a as materialized (from 'x.csv') from a", 'table_not_found'],
  ["with recursive a as (select 1 union all from 'x.csv') from a", 'table_not_found'],
  ['with "x.csv" as (select 1) select 1 from (select * from \'x.csv\')', 'table_not_found'],
  ['with "x.csv" as (select 1) from "x.csv"', 'table_not_found'],
  ['with "/etc/passwd" as (select 1) from "/etc/passwd"', 'table_not_found'],
  ['select (with a as (select 1) from a), (select 1 from a)', 'table_not_found'],
  ['with a as (select 1) from other.a', 'table_not_found'],
  ['with a as (select 1) from main.a', 'table_not_found'],
  // What DuckDB knows of itself.
  ['from duckdb_settings', 'table_not_found'],
  ['from sqlite_master', 'table_not_found'],
  ['from information_schema.tables', 'table_not_found'],
  ['from pg_catalog.pg_settings', 'table_not_found'],
  ['from system.main.duckdb_secrets', 'table_not_found'],
  ['from slot1.main.environment', 'table_not_found'],
  ['from memory.main.environment', 'table_not_found'],
  ['from other.environment', 'table_not_found'],
  ['from duckdb_settings()', 'sql_not_allowed'],
  ['from duckdb_secrets()', 'sql_not_allowed'],
  ['from pragma_version()', 'sql_not_allowed'],
  ['show tables', 'sql_not_allowed'],
  ['show all tables', 'sql_not_allowed'],
  ['from (show tables)', 'sql_not_allowed'],
  ["select current_setting('temp_directory')", 'sql_not_allowed'],
  ["select pg_catalog.current_setting('temp_directory')", 'sql_not_allowed'],
  ["select getvariable('x')", 'sql_not_allowed'],
  ["select getenv('HOME')", 'sql_not_allowed'],
  ['select current_query()', 'sql_not_allowed'],
  // Functions that read, write, run, wait or change something.
  ["from read_csv('x')", 'sql_not_allowed'],
  ["from READ_CSV_AUTO('x')", 'sql_not_allowed'],
  ["from read_parquet(['x'])", 'sql_not_allowed'],
  ["from parquet_scan('x')", 'sql_not_allowed'],
  ["from parquet_metadata('x')", 'sql_not_allowed'],
  ["from read_json('x')", 'sql_not_allowed'],
  ["from read_text('x')", 'sql_not_allowed'],
  ["from read_blob('x')", 'sql_not_allowed'],
  ["from read_duckdb('x')", 'sql_not_allowed'],
  ['from "read_text"(\'x\')', 'sql_not_allowed'],
  ["from system.main.read_text('x')", 'sql_not_allowed'],
  ["from glob('*')", 'sql_not_allowed'],
  ["from sniff_csv('x')", 'sql_not_allowed'],
  ["from query('select 1')", 'sql_not_allowed'],
  ["from query_table('environment')", 'sql_not_allowed'],
  ["from json_execute_serialized_sql('x')", 'sql_not_allowed'],
  ["from histogram('x.csv', a)", 'sql_not_allowed'],
  ["select json_serialize_plan('from x')", 'sql_not_allowed'],
  ["from energy, lateral (from read_text('x'))", 'sql_not_allowed'],
  ["from range(1) where exists (from read_csv('x'))", 'sql_not_allowed'],
  ["select nextval('s')", 'sql_not_allowed'],
  ["select write_log('x')", 'sql_not_allowed'],
  ['select sleep_ms(1000)', 'sql_not_allowed'],
  ['select setseed(0.5)', 'sql_not_allowed'],
  ["select error('x')", 'sql_not_allowed'],
  ['from enable_logging()', 'sql_not_allowed'],
  ['from checkpoint()', 'sql_not_allowed'],
  ['select sum(sleep_ms(1)) over () from energy', 'sql_not_allowed'],
  ['select upper(lower(write_log(a))) from energy', 'sql_not_allowed'],
  ["select getvariable('x') over () from energy", 'sql_not_allowed'],
  ['from environment at (version => 3)', 'sql_not_allowed'],
  // Statements that are no SELECT, alone or behind one.
  ["copy environment to 'x.csv'", 'sql_not_allowed'],
  ["copy (select 1) to 'x.csv'", 'sql_not_allowed'],
  ["attach 'x.db'", 'sql_not_allowed'],
  ['detach memory', 'sql_not_allowed'],
  ['install httpfs', 'sql_not_allowed'],
  ['load httpfs', 'sql_not_allowed'],
  ['set threads = 1', 'sql_not_allowed'],
  ['reset threads', 'sql_not_allowed'],
  ['pragma version', 'sql_not_allowed'],
  ['call pragma_version()', 'sql_not_allowed'],
  ['use memory', 'sql_not_allowed'],
  ['create table t as select 1', 'sql_not_allowed'],
  ['create or replace view environment as select 1', 'sql_not_allowed'],
  ['create macro upper(a) as a', 'sql_not_allowed'],
  ['create secret (type s3)', 'sql_not_allowed'],
  ['drop view environment', 'sql_not_allowed'],
  ['insert into environment values (1)', 'sql_not_allowed'],
  ['update environment set a = 1', 'sql_not_allowed'],
  ['delete from environment', 'sql_not_allowed'],
  ['prepare p as select 1', 'sql_not_allowed'],
  ['execute p', 'sql_not_allowed'],
  ['explain select 1', 'sql_not_allowed'],
  ['begin', 'sql_not_allowed'],
  ['vacuum', 'sql_not_allowed'],
  ['checkpoint', 'sql_not_allowed'],
  ["export database 'x'", 'sql_not_allowed'],
  ['pivot environment on a using sum(b)', 'sql_not_allowed'],
  ['select 1; select 2', 'sql_not_allowed'],
  ["select 1; copy (select 1) to 'x'", 'sql_not_allowed'],
  ['with a as (insert into environment values (1) returning *) from a', 'sql_syntax'],
  ["select 'a'.upper()", 'sql_syntax'],
  ['', 'sql_syntax'],
  [' ; -- nothing', 'sql_syntax'],
  ['selec 1', 'sql_syntax'],
  ['select $1, $name', 'sql_invalid'],
];
for (const [sql, code] of refused)
  test(`refused as ${code}: ${sql}`, async () => {
    assert.equal((await failureOf(sql)).code, code);
  });

test('function calls in a chain are calls', async () => {
  await guard("select ('a').upper() from environment");
  assert.equal((await failureOf("select ('x').getvariable()")).code, 'sql_not_allowed');
});

test('says where a text is not SQL, in characters from 1', async () => {
  const { facts, message } = await failureOf("select 'é',\n  from where");
  assert.deepEqual(facts, { position: 20, line: 2, column: 8 });
  assert.match(message, /syntax error/);
});

test('says which tables there are, and which may be meant', async () => {
  const failure = await failureOf('select 1 from enviroment');
  assert.equal(failure.message, 'there is no table "enviroment"; there are environment, energy, lab.runs');
  assert.equal(failure.hint, 'did you mean environment?');
  assert.deepEqual(failure.facts, {
    position: 15,
    line: 1,
    column: 15,
    tables: ['environment', 'energy', 'lab.runs'],
    did_you_mean: ['environment'],
  });
});

test('says which function may be meant', async () => {
  const failure = await failureOf('select avgg(a) from energy');
  assert.deepEqual([failure.hint, failure.facts['position']], ['did you mean avg?', 8]);
});

test('names the parameters', async () => {
  assert.deepEqual((await guard('select $b, $a, $b')).parameterNames.toSorted(), ['a', 'b']);
  assert.deepEqual((await guard('select ?, ?')).parameterNames.toSorted(), ['1', '2']);
});

test('refuses a text of unreasonable length', async () => {
  assert.equal((await failureOf(`select '${'x'.repeat(70_000)}'`)).code, 'bad_param');
});

async function duckDbFunctions(): Promise<Set<string>> {
  const reader = await connection.runAndReadAll(
    'select distinct lower(function_name) from duckdb_functions()',
  );
  return new Set(reader.getRows().map(([name]) => String(name)));
}

test('every allowed function exists in this DuckDB', async () => {
  // Made by the parser itself, or by us.
  const known = new Set([...(await duckDbFunctions()), 'count_star', 'latest', lttbPicker]);
  const unknown = [...allowedFunctions, ...allowedTableFunctions].filter((name) => !known.has(name));
  assert.deepEqual(unknown, []);
});

test('somebody has looked at every function of this DuckDB', async () => {
  const named = [...(await duckDbFunctions())].filter((name) => /[a-z0-9_]/.test(name));
  const isAllowed = (name: string) => allowedFunctions.has(name) || allowedTableFunctions.has(name);
  assert.deepEqual(
    named.filter((name) => !isAllowed(name) && !refusedFunctions.has(name)),
    [],
    'decide: allowed-functions.ts or refused-functions.ts',
  );
  assert.deepEqual([...refusedFunctions].filter(isAllowed), []);
});

test('every refused function is refused, as a value and as a table', async () => {
  for (const name of refusedFunctions)
    for (const sql of [`select "${name}"()`, `from "${name}"('x')`])
      assert.ok(['sql_not_allowed', 'sql_syntax'].includes((await failureOf(sql)).code), sql);
});
