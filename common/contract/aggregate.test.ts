import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import {
  aggregateColumnName,
  aggregateFunctions,
  formatAggregateFacts,
  parseAggregateColumn,
} from './aggregate.js';
import { parseAggregateFacts } from './read-aggregate.js';

for (const field of ['x', 'x_first', 'x_last_time', 'count'])
  for (const wanted of aggregateFunctions)
    test(`the column of ${wanted} of ${field} is read back`, () =>
      assert.deepEqual(parseAggregateColumn(aggregateColumnName(field, wanted)), {
        field,
        function: wanted,
      }));

test('another column is none', () => assert.equal(parseAggregateColumn('temperature'), undefined));

test('facts are read back', () =>
  assert.deepEqual(parseAggregateFacts(formatAggregateFacts({ everyMs: 10_000 })), { everyMs: 10_000 }));
for (const text of ['', '{', '{}', '{"every_ms":0}', '{"every_ms":"10"}'])
  test(`${text || 'nothing'} is no facts`, () => assert.equal(parseAggregateFacts(text), undefined));
