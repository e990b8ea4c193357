import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot } from '../delta/snapshot.js';
import { sqlColumns, templateSql, viewSql } from './table-views.js';

const snapshot: Snapshot = {
  name: { database: 'main', table: 'environment' },
  version: 3,
  columns: { tags: [{ name: 'device' }], fields: [{ name: 'count', type: 'long' }] },
  files: new Map(),
  transactions: new Map(),
};

test('a view lists its columns with their types, over the template and the files', () => {
  assert.equal(
    viewSql(snapshot, '/t.parquet', ["/it's.parquet"]),
    'CREATE OR REPLACE VIEW "main"."environment" AS SELECT "time"::TIMESTAMPTZ AS "time", "device"::VARCHAR AS "device", ' +
      '"count"::BIGINT AS "count", "day"::DATE AS "day" ' +
      "FROM read_parquet(['/t.parquet', '/it''s.parquet'], union_by_name = true, hive_partitioning = false)",
  );
});

test('a template has the same columns, and no rows', () => {
  assert.equal(
    templateSql(sqlColumns({ tags: [], fields: [] }), '/t.parquet'),
    'COPY (SELECT NULL::TIMESTAMPTZ AS "time", NULL::DATE AS "day" WHERE false) TO \'/t.parquet\' (FORMAT parquet)',
  );
});
