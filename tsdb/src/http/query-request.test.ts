import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { readQueryBody, readQueryString } from './query-request.js';

test('reads a body', () => {
  const asked = readQueryBody({
    sql: 'select 1',
    params: { a: [1, 2], b: null },
    max_rows: 5,
    timeout: '10s',
    db: 'Lab',
    format: 'ndjson',
  });
  assert.deepEqual(asked.query, {
    sql: 'select 1',
    params: { a: [1, 2], b: null },
    rowsMax: 5,
    timeoutMs: 10_000,
    database: 'lab',
  });
  assert.equal(asked.format, 'jsonl');
  assert.deepEqual(readQueryBody({ q: 'select 1' }).query, { sql: 'select 1', rowsMax: 10_000 });
});

test('reads a query string', () => {
  const { query, render, instead } = readQueryString({
    query: 'select 1',
    params: '["x"]',
    max_rows: '5',
    timeout: '500ms',
    header: 'false',
    max_bytes: '1MB',
    tz: 'Europe/Berlin',
    time_format: 'ms',
    int64: 'number',
    dry_run: 'true',
    as_of: '2026-01-01T00:00:00Z',
  });
  const asOf = { timeMs: Date.parse('2026-01-01T00:00:00Z') };
  assert.deepEqual(query, { sql: 'select 1', params: ['x'], rowsMax: 5, timeoutMs: 500, asOf });
  assert.deepEqual(render, {
    style: { timeFormat: 'ms', timeZone: 'Europe/Berlin', int64: 'number' },
    bytesMax: 1e6,
    header: false,
  });
  assert.equal(instead, 'dry_run');
});

test('only documents have a limit of rows', () => {
  assert.equal(readQueryBody({ sql: 'select 1', format: 'csv' }).query.rowsMax, Number.POSITIVE_INFINITY);
  assert.equal(readQueryBody({ sql: 'select 1' }, () => 'arrow').query.rowsMax, Number.POSITIVE_INFINITY);
  assert.equal(readQueryBody({ sql: 'select 1', format: 'pretty' }).query.rowsMax, 10_000);
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
  [{ sql: 'a', max_rows: 0 }, /^max_rows: must be a whole number from 1$/, ['max_rows']],
  [{ sql: 'a', max_rows: 1.5 }, /^max_rows: must be a whole number/, ['max_rows']],
  [{ sql: 'a', max_rows: 1_000_001 }, /^max_rows: must be at most 1000000 in json/, ['max_rows']],
  [{ sql: 'a', max_rows: '5' }, /^max_rows: must be a whole number/, ['max_rows']],
  [{ sql: 'a', timeout: 5 }, /^timeout: write a duration/, ['timeout']],
  [{ sql: 'a', timeout: '2h' }, /^timeout: is out of range/, ['timeout']],
  [{ sql: 'a', params: 'x' }, /^params: must be an array/, ['params']],
  [{ sql: 'a', params: [{}] }, /^params: must be an array/, ['params']],
  [{ sql: 'a', format: 'xls' }, /^format: must be one of json, jsonl/, ['format']],
  [{ sql: 'a', tz: 'Mars' }, /^tz: is no time zone/, ['tz']],
  [{ sql: 'a', as_of: 'yesterday' }, /^as_of: must be a version, or a time/, ['as_of']],
  [{ sql: 'a', max_bytes: 'much' }, /^max_bytes: must be a size/, ['max_bytes']],
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
