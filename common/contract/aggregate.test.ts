import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import {
  aggregateColumnName,
  aggregateFunctions,
  formatAggregateFacts,
  joinAggregateFacts,
  parseAggregateColumn,
  quantileColumnName,
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
test('quantiles too, ascending', () =>
  assert.deepEqual(parseAggregateFacts(formatAggregateFacts({ everyMs: 1_000, quantiles: [0.99, 0.5] })), {
    everyMs: 1_000,
    quantiles: [0.5, 0.99],
  }));
for (const [quantile, name] of [
  [0.5, 'x_p50'],
  [0.29, 'x_p29'],
  [0.999, 'x_p99_9'],
] as const)
  test(`the column of quantile ${quantile} is ${name}`, () =>
    assert.equal(quantileColumnName('x', quantile), name));
test('a table shows the quantiles of all its shipments, within a bound', () => {
  const table = { everyMs: 1_000, quantiles: [0.5] };
  assert.equal(joinAggregateFacts(table, { everyMs: 1_000, quantiles: [0.5] }), table);
  assert.deepEqual(joinAggregateFacts(table, { everyMs: 1_000, quantiles: [0.1] }).quantiles, [0.1, 0.5]);
  const many = Array.from({ length: 99 }, (_, index) => (index + 1) / 1_000);
  const full = joinAggregateFacts(table, { everyMs: 1_000, quantiles: many });
  assert.equal(full.quantiles?.length, 100);
  assert.equal(joinAggregateFacts(full, { everyMs: 1_000, quantiles: [0.7] }), full);
});

for (const text of ['', '{', '{}', '{"every_ms":0}', '{"every_ms":"10"}', '{"every_ms":10,"quantiles":[1]}'])
  test(`${text || 'nothing'} is no facts`, () => assert.equal(parseAggregateFacts(text), undefined));
