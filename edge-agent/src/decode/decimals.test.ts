import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { aggregateRows } from '../aggregate/aggregate-rows.js';
import { gatherRows, selectRows } from '../aggregate/open-rows.js';
import { columnsOf, routeAll, streamOf } from './streams.test.fixture.js';

const stream = streamOf({ fields: { temp: { decimals: 2 }, level: { decimals: 0 }, other: 'double' } });
const { tables } = routeAll([stream], ['{"temp":21.456,"level":7.5,"other":1.23456}', '{"temp":"n/a"}']);
const rows = tables['environment'];
assert(rows);

test('a field with decimals is a double, rounded to them, and its column says so', () => {
  assert.deepEqual(columnsOf(rows), {
    device: ['press-1', 'press-1'],
    'level:double': [8, null],
    'other:double': [1.23456, null],
    'temp:double': [21.46, null],
    'temp__string:string': [null, 'n/a'],
  });
  assert.deepEqual(rows.decimals, { level: 0, temp: 2 });
});

test('of two streams that write one table, the finer resolution counts', () => {
  const finer = streamOf({ table: 'environment', fields: { temp: { decimals: 3 } } }, 'finer');
  const both = routeAll([stream, finer], ['{"temp":21.4567}']).tables['environment'];
  assert.deepEqual(both?.decimals, { temp: 3 });
});

test('of aggregates, what is a value of the field has them', () => {
  const gathered = gatherRows([selectRows(rows, -Infinity, Infinity)], new Map());
  const { decimals } = aggregateRows(gathered, 1_000_000, 'part');
  assert.deepEqual(decimals, {
    ...{ level_min: 0, level_max: 0, level_first: 0, level_last: 0 },
    ...{ temp_min: 2, temp_max: 2, temp_first: 2, temp_last: 2 },
  });
});

test('a column without a declared resolution says nothing', () => {
  const plain = routeAll([streamOf()], ['{"a":1}']).tables['environment'];
  assert.equal(plain && 'decimals' in plain, false);
});
