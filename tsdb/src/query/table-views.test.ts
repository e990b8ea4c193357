import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot } from '../delta/snapshot.js';
import { filesSql, sqlColumns, templateSql, viewSql } from './table-views.js';

const snapshot: Snapshot = {
  name: { database: 'main', table: 'environment' },
  version: 3,
  columns: { tags: [{ name: 'device' }], fields: [{ name: 'count', type: 'long' }] },
  files: new Map(),
  transactions: new Map(),
};

test('a view lists its columns with their types, over the template and the files', () => {
  assert.equal(
    viewSql(snapshot),
    'CREATE OR REPLACE VIEW "main"."environment" AS SELECT "time"::TIMESTAMPTZ AS "time", "device"::VARCHAR AS "device", ' +
      '"count"::BIGINT AS "count", "day"::DATE AS "day" ' +
      "FROM read_parquet(getvariable('main.environment'), union_by_name = getvariable('main.environment differ'), hive_partitioning = false)",
  );
});

test('its files are a variable, and nothing in a path is a pattern', () => {
  assert.equal(
    filesSql(snapshot, { paths: ['/t.parquet', "/it's[1].parquet"], differ: true }),
    `SET VARIABLE "main.environment" = ['/t.parquet', '/it''s[[]1].parquet']; ` +
      'SET VARIABLE "main.environment differ" = true',
  );
});

test('a template has the same columns, and no rows', () => {
  assert.equal(
    templateSql(sqlColumns({ tags: [], fields: [] }), '/t.parquet'),
    'COPY (SELECT NULL::TIMESTAMPTZ AS "time", NULL::DATE AS "day" WHERE false) TO \'/t.parquet\' (FORMAT parquet)',
  );
});

test('a view of a table of aggregates merges what it would otherwise show', () => {
  const fields = [
    { name: 'x_count', type: 'long' },
    { name: 'x_first', type: 'boolean' },
    { name: 'x_first_time', type: 'long' },
  ] as const;
  const columns = { tags: [{ name: 'device' }, { name: 'part' }], fields };
  assert.equal(
    viewSql({ ...snapshot, columns, aggregate: { everyMs: 10_000 } }),
    'CREATE OR REPLACE VIEW "main"."environment" AS SELECT "time", "device", ' +
      'coalesce(sum("x_count"), 0)::BIGINT AS "x_count", ' +
      'arg_min("x_first", "x_first_time"::HUGEINT * 18446744073709551616 + hash("part")) AS "x_first", ' +
      'make_timestamptz(min("x_first_time")) AS "x_first_time", "day" FROM (' +
      'SELECT "time"::TIMESTAMPTZ AS "time", "device"::VARCHAR AS "device", "part"::VARCHAR AS "part", ' +
      '"x_count"::BIGINT AS "x_count", "x_first"::BOOLEAN AS "x_first", "x_first_time"::BIGINT AS "x_first_time", ' +
      '"day"::DATE AS "day" ' +
      "FROM read_parquet(getvariable('main.environment'), union_by_name = getvariable('main.environment differ'), hive_partitioning = false)" +
      ') GROUP BY "time", "device", "day"',
  );
});
