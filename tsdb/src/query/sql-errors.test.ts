import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Failure } from '@varve/common/errors.js';
import { isFatal, toSqlFailure } from './sql-errors.js';

const sql = "select 'é', tem from environment";
const keyByPath = new Map([['/cache/a.parquet', 'tables/main/environment/a.parquet']]);

function failureOf(raw: Record<string, string>, prefix = ''): Failure | undefined {
  return toSqlFailure(new Error(prefix + JSON.stringify(raw)), { sql, keyByPath });
}

const codes: [type: string, code: string | undefined][] = [
  ['Parser', 'sql_syntax'],
  ['Binder', 'sql_invalid'],
  ['Catalog', 'sql_invalid'],
  ['Conversion', 'sql_invalid'],
  ['Out of Range', 'sql_invalid'],
  ['Invalid Input', 'sql_invalid'],
  ['Not implemented', 'sql_invalid'],
  ['Permission', 'sql_not_allowed'],
  ['Out of Memory', 'memory_limit_exceeded'],
  ['INTERNAL', undefined],
  ['FATAL', undefined],
  ['INTERRUPT', undefined],
];
for (const [type, code] of codes)
  test(`an error of type ${type} is ${code ?? 'not the fault of the statement'}`, () =>
    assert.equal(failureOf({ exception_type: type, exception_message: 'no' })?.code, code));

test('names what may be meant, and where', () => {
  const failure = failureOf({
    exception_type: 'Binder',
    exception_message: 'Referenced column "tem" not found in FROM clause!\nCandidate bindings: "temp"',
    candidates: 'temp,time',
    position: '13',
  });
  assert.equal(failure?.message, 'Referenced column "tem" not found in FROM clause!');
  assert.equal(failure.hint, 'did you mean temp or time?');
  assert.deepEqual(failure.facts, { position: 13, line: 1, column: 13, did_you_mean: ['temp', 'time'] });
});

test('the parser counts characters', () => {
  const failure = failureOf(
    { exception_type: 'Parser', exception_message: 'no', position: '12' },
    'Parser Error: ',
  );
  assert.equal(failure?.facts['position'], 13);
});

test('reads the errors that are no JSON', () => {
  const error = new Error('Invalid Input Error: Values were not provided');
  assert.equal(toSqlFailure(error, { sql })?.message, 'Values were not provided');
  assert.equal(toSqlFailure(new Error('something else'), { sql }), undefined);
  assert.equal(toSqlFailure(new Error('{"exception_type": broken'), { sql }), undefined);
});

test('keeps advice to itself that only operators can follow', () => {
  const failure = failureOf({
    exception_type: 'Out of Memory',
    exception_message: 'failed to allocate (1 GB/1 GB used)\n\nPossible solutions:\n* SET threads=1',
  });
  assert.equal(
    failure?.message,
    'the query needs more memory than it may use: failed to allocate (1 GB/1 GB used)',
  );
});

test('names the object behind a file that cannot be read', () => {
  const corrupt = failureOf({
    exception_type: 'Invalid Input',
    exception_message: "No magic bytes found at end of file '/cache/a.parquet'",
  });
  assert.deepEqual(
    [corrupt?.code, corrupt?.facts['key']],
    ['object_corrupt', 'tables/main/environment/a.parquet'],
  );
  const missing = failureOf({
    exception_type: 'IO',
    exception_message: 'Cannot open file "/cache/a.parquet": No such file or directory',
  });
  assert.equal(missing?.code, 'object_missing');
});

test('knows the errors after which nothing works', () => {
  assert.ok(isFatal(new Error('{"exception_type":"FATAL","exception_message":"x"}')));
  assert.ok(!isFatal(new Error('{"exception_type":"Binder","exception_message":"x"}')));
});
