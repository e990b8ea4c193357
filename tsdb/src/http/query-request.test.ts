import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { readQueryBody, readQueryString } from './query-request.js';

test('reads a body', () => {
  assert.deepEqual(
    readQueryBody({
      sql: 'select 1',
      params: { a: [1, 2], b: null },
      max_rows: 5,
      timeout: '10s',
      format: 'json',
    }),
    { sql: 'select 1', params: { a: [1, 2], b: null }, rowsMax: 5, timeoutMs: 10_000 },
  );
  assert.deepEqual(readQueryBody({ q: 'select 1' }), { sql: 'select 1' });
});

test('reads a query string', () => {
  assert.deepEqual(readQueryString({ query: 'select 1', params: '["x"]', max_rows: '5', timeout: '500ms' }), {
    sql: 'select 1',
    params: ['x'],
    rowsMax: 5,
    timeoutMs: 500,
  });
});

const wrongBodies: [body: unknown, message: RegExp, parameters?: string[]][] = [
  [undefined, /must be a JSON object/],
  ['select 1', /must be a JSON object/],
  [['select 1'], /must be a JSON object/],
  [{}, /^sql: is missing$/],
  [{ sql: 'a', q: 'b' }, /^sql: is there 2 times$/],
  [{ sql: 1 }, /^sql: must be text$/, ['sql']],
  [{ sql: 'a', limit: 5 }, /^limit: is not a parameter$/, ['limit']],
  [{ sql: 'a', limit: 5, fromat: 'csv' }, /^limit: .*; fromat: /, ['limit', 'fromat']],
  [{ sql: 'a', max_rows: 0 }, /^max_rows: must be a whole number from 1 to 1000000$/, ['max_rows']],
  [{ sql: 'a', max_rows: 1.5 }, /^max_rows: must be a whole number/, ['max_rows']],
  [{ sql: 'a', max_rows: 1_000_001 }, /^max_rows: must be a whole number/, ['max_rows']],
  [{ sql: 'a', max_rows: '5' }, /^max_rows: must be a whole number/, ['max_rows']],
  [{ sql: 'a', timeout: 5 }, /^timeout: write a duration/, ['timeout']],
  [{ sql: 'a', timeout: '1h' }, /^timeout: is out of range/, ['timeout']],
  [{ sql: 'a', params: 'x' }, /^params: must be an array/, ['params']],
  [{ sql: 'a', params: [{}] }, /^params: must be an array/, ['params']],
  [{ sql: 'a', format: 'csv' }, /^format: must be json$/, ['format']],
];
for (const [body, message, parameters] of wrongBodies)
  test(`refuses ${JSON.stringify(body)}`, () =>
    assert.throws(
      () => readQueryBody(body),
      (error) => {
        assert.ok(isFailure(error));
        assert.match(error.message, message);
        assert.deepEqual(error.facts['parameters'], parameters);
        assert.notEqual(error.hint, undefined);
        return true;
      },
    ));

const wrongStrings: [query: Record<string, unknown>, message: RegExp][] = [
  [{ sql: ['a', 'b'] }, /^sql: must be text$/],
  [{ sql: 'a', params: '{"x"' }, /^params: must be an array/],
  [{ sql: 'a', max_rows: 'many' }, /^max_rows: must be a whole number/],
  [{ sql: 'a', max_rows: '' }, /^max_rows: must be a whole number/],
];
for (const [query, message] of wrongStrings)
  test(`refuses ?${JSON.stringify(query)}`, () => assert.throws(() => readQueryString(query), { message }));
