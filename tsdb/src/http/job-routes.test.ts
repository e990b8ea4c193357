import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { isFailure } from '@varve/common/errors.js';
import type { Snapshot } from '../delta/snapshot.js';
import { parseTimeUs, readDeleteRequest } from './delete-request.js';
import { guardCondition } from './guard-condition.js';

const connection = await (await DuckDBInstance.create(':memory:')).connect();
async function serialize(sql: string): Promise<string> {
  const reader = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql]);
  return String(reader.getRows()[0]?.[0]);
}

const snapshot: Snapshot = {
  name: { database: 'main', table: 'climate' },
  version: 0,
  columns: { tags: [{ name: 'device' }], fields: [{ name: 'v', type: 'double' }] },
  files: new Map(),
  transactions: new Map(),
};

const taken = [
  'v > 1',
  "device = 'a' and v between 1 and 2 -- the first ones",
  "device in ('a', 'b') or v is null",
  "time < now() - interval 1 day and regexp_matches(device, '^x')",
  'v > 1) or (v < 0',
];
for (const where of taken)
  test(`a condition: ${where}`, async () => {
    await guardCondition(where, snapshot, serialize);
  });

const refused: [where: string, code: string][] = [
  ['', 'bad_param'],
  ['v >', 'sql_syntax'],
  ['v > 1; drop table climate', 'sql_syntax'],
  ['v in (select 1)', 'sql_not_allowed'],
  ['exists (from climate)', 'sql_not_allowed'],
  ['v > (select v from climate)', 'sql_not_allowed'],
  ["v > 1) as a, (device = 'x'", 'sql_not_allowed'],
  ['true) as a from climate union all select (false', 'sql_not_allowed'],
  ['true) as a from climate where (v > 1', 'sql_syntax'],
  ['row_number() over () > 1', 'sql_not_allowed'],
  ['columns(*) > 1', 'sql_not_allowed'],
  ['v > $1', 'sql_not_allowed'],
  ["read_text('/etc/passwd') is null", 'sql_not_allowed'],
  ["getenv('HOME') = 'x'", 'sql_not_allowed'],
  ["device glob '*a*b'", 'sql_not_allowed'],
  ["device like 'a' || device", 'sql_not_allowed'],
  ['v > 1 /*', 'sql_syntax'],
  ['x'.repeat(10_001), 'bad_param'],
];
for (const [where, code] of refused)
  test(`no condition: ${where.slice(0, 60)}`, async () => {
    await assert.rejects(guardCondition(where, snapshot, serialize), (error) => {
      assert(isFailure(error));
      assert.equal(error.code, code, error.message);
      return true;
    });
  });

test('a delete must say what, and nothing that is not understood', () => {
  const bodies = [
    undefined,
    {},
    { dry_run: true },
    { were: 'v > 1' },
    { start: 'yesterday' },
    { where: 5 },
    [],
  ];
  for (const body of [...bodies, { start: '2026-03-02', end: '2026-03-01' }])
    assert.throws(
      () => readDeleteRequest(body),
      (error) => isFailure(error, 'bad_param'),
      JSON.stringify(body),
    );
  assert.deepEqual(readDeleteRequest({ where: 'v > 1', start: '1970-01-02' }), {
    where: 'v > 1',
    range: { startUs: 86_400_000_000, endUs: Infinity },
    isDryRun: false,
  });
});

test('times have a zone, dates begin at midnight UTC', () => {
  const cases: [text: string, us: number | undefined][] = [
    ['1970-01-01T00:00:01Z', 1_000_000],
    ['1970-01-01T01:00:00.000001+01:00', 1],
    ['1970-01-01T00:01Z', 60_000_000],
    ['1970-01-02', 86_400_000_000],
    ['1970-01-01T00:00:01', undefined],
    ['1970-13-01', undefined],
    ['now', undefined],
  ];
  for (const [text, us] of cases) assert.equal(parseTimeUs(text), us, text);
});
