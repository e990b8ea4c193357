import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import type { DataFile, Snapshot } from '../delta/snapshot.js';
import { countRows, findCountName } from './counted-rows.js';
import type { PlannedTable } from './query-plan.js';
import { parseSelect } from './serialize-sql.js';
import type { Statement } from './statements.js';

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

const parse = (sql: string) => parseSelect(connection, sql);

const counts: [sql: string, name: string][] = [
  ['select count(*) from climate', 'count_star()'],
  ['SELECT count(*) AS "How Many" FROM lab."Runs" AS r', 'How Many'],
  ['from climate select count()', 'count_star()'],
];
for (const [sql, name] of counts)
  test(`counts rows and does nothing else: ${sql}`, async () => {
    assert.equal(await findCountName(await parse(sql), parse), name);
    await connection.run('create or replace table climate as from range(3)');
    const asked = sql.replace('lab."Runs"', 'climate');
    assert.deepEqual((await connection.runAndReadAll(asked)).columnNames(), [name], 'as DuckDB names it');
  });

for (const sql of [
  'select count(*) from climate where true',
  'select count(*) from climate having true',
  'select count(*) from climate group by all',
  'select count(*) from climate group by ()',
  'select count(*) from climate limit 0',
  'select count(*) from climate using sample 1 rows',
  'select count(*) from climate tablesample 10%',
  'select count(*) from climate, climate as other',
  'select count(*) from (select * from climate)',
  "select count(*) from latest('climate')",
  'select count(*), 1 from climate',
  'select count(*) + 1 from climate',
  'select count(*)::int from climate',
  'select count(*) over () from climate',
  'select count(*) filter (where v > 1) from climate',
  'select distinct count(*) from climate',
  'select count(distinct v) from climate',
  'select count(v) from climate',
  'select count(*) from climate qualify true',
  'select count(*)',
  'with c as (select 1) select count(*) from c',
  'select count(*) from climate union all select 1',
  'select v from climate',
])
  test(`must be read: ${sql}`, async () => {
    assert.equal(await findCountName(await parse(sql), parse), undefined);
  });

const fileOf = (path: string, rowCount: number): DataFile => ({
  path,
  rowCount,
  ...{ key: path, bytes: 1, level: 0, addedMs: 0, day: '2026-01-01', minTimeUs: 0, maxTimeUs: 1 },
});

interface PlanParts {
  readonly rowCounts?: readonly number[];
  readonly isNewest?: boolean;
  readonly aggregate?: AggregateFacts;
}

function planOf({ rowCounts = [1, 2], isNewest = false, aggregate }: PlanParts = {}) {
  const files = rowCounts.map((count, index) => fileOf(String(index), count));
  const snapshot: Snapshot = {
    name: { database: 'main', table: 'climate' },
    version: 1,
    columns: { tags: [], fields: [] },
    aggregate,
    files: new Map(files.map((file) => [file.path, file])),
    transactions: new Map(),
  };
  const table: PlannedTable = { snapshot, isNewest, newest: undefined, files, wanted: undefined };
  return { statement: { countName: 'n' } as Statement, tables: [table] };
}

test('the count is that of the files', () => {
  assert.equal(countRows(planOf()), 3);
  assert.equal(countRows(planOf({ rowCounts: [] })), 0);
});

test('what the log does not say is read', () => {
  assert.equal(
    countRows({ ...planOf(), statement: { countName: undefined } as Statement }),
    undefined,
    'another one',
  );
  assert.equal(countRows(planOf({ rowCounts: [1, Number.NaN] })), undefined, 'a file of unknown rows');
  assert.equal(countRows(planOf({ isNewest: true })), undefined, 'newest rows');
  assert.equal(countRows(planOf({ aggregate: {} as AggregateFacts })), undefined, 'partials');
  assert.equal(countRows({ ...planOf(), tables: [] }), undefined, 'no table');
});
