import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import type { Field } from '@varve/common/contract/columns.js';
import type { Snapshot } from '../delta/snapshot.js';
import { findColumnNames, storedColumns } from './find-columns.js';
import { findTableOf } from './find-table.js';
import { serializeSql } from './serialize-sql.js';
import type { SqlNode } from './sql-tree.js';

const snapshotOf = (table: string, fields: readonly Field[], aggregate?: AggregateFacts): Snapshot => ({
  name: { database: 'main', table },
  version: 0,
  columns: { tags: [{ name: 'device' }, ...(aggregate ? [{ name: 'part' }] : [])], fields },
  files: new Map(),
  transactions: new Map(),
  aggregate,
});
const snapshots = ['a', 'b'].map((table) => snapshotOf(table, [{ name: 'x', type: 'double' }]));

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

async function namesIn(sql: string): Promise<ReadonlySet<string> | undefined> {
  const root = (await serializeSql(connection, sql)).statements?.[0]?.node as SqlNode;
  return findColumnNames(root, (node) => findTableOf(node, snapshots, 'main') !== undefined);
}

const candidates = ['time', 'device', 'x', 'y', 'z'];
const named: [sql: string, names: string][] = [
  ['select count(*) from a', ''],
  ['select X from a where "Time" > now()', 'time x'],
  ['select q.x from a as q group by q.device', 'device x'],
  ['select 1 from a join b using (time, device)', 'time device'],
  ['select max(x) filter (where y > 1) over (partition by z order by time) from a', 'time x y z'],
  ['with c as (select time as t, x from a) select * from c', 'time x'],
  ['select s.*, 1 as one from (select x from a) as s', 'x'],
  ['select count(*) from a where exists (select * from (select y from b) c)', 'y'],
  ['select s from (select x from a) s', 'x'],
  ['select x from a union all by name select y from b', 'x y'],
  ['select x from a order by z limit 3', 'x z'],
  ['select list_transform([1], lambda i: i + x) from a', 'x'],
];
for (const [sql, names] of named)
  test(`reads ${names || 'nothing'}: ${sql}`, async () => {
    const found = await namesIn(sql);
    assert.equal(found && candidates.filter((name) => found.has(name)).join(' '), names);
  });

const whole = [
  'from a',
  'select * from a',
  'select b.* from a join b on a.time = b.time',
  'select * exclude (x) from a',
  "select columns('x') from a",
  'select count(columns(*)) from a',
  'select a from a',
  'select max(q) from a as q',
  'select x from a where a is not null',
  'select #1 from a',
  'select x from a natural join b',
  'select t from a as a(t)',
  'from a pivot (max(x) for device in (1))',
  'describe a',
  'summarize a',
  'with c as (from a) select x from c',
  'select x from (select * from a join b using (time))',
  'select (select a.*) from a',
  'select x from (a join b on a.x = b.x) as q',
];
for (const sql of whole)
  test(`reads all columns: ${sql}`, async () => assert.equal(await namesIn(sql), undefined));

const stored = (snapshot: Snapshot, ...names: string[]) =>
  [...storedColumns(snapshot, new Set(names))].sort().join(' ');

test('a field is read with the double beside it', () => {
  const snapshot = snapshotOf('a', [
    { name: 'x', type: 'long' },
    { name: 'x__double', type: 'double', sideOf: 'x' },
    { name: 'y', type: 'double' },
  ]);
  assert.equal(stored(snapshot, 'x'), 'x x__double');
  assert.equal(stored(snapshot, 'y', 'nobody', 'day', 'device'), 'day device y');
});

test('an aggregate is read with what it is merged from and by', () => {
  const fields: Field[] = ['count', 'sum', 'first', 'first_time', 'min'].map((wanted) => ({
    name: `x_${wanted}`,
    type: 'double',
  }));
  const snapshot = snapshotOf('a', fields, { everyMs: 1_000 });
  assert.equal(stored(snapshot, 'x_min'), 'day device time x_min');
  assert.equal(stored(snapshot, 'x_mean'), 'day device time x_count x_sum');
  assert.equal(stored(snapshot, 'x_first'), 'day device part time x_first x_first_time');
});
