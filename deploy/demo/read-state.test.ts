import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarizeTables, sumMetric } from './read-state.js';

const metrics = `# HELP rows_total Rows
# TYPE rows_total counter
rows_total{table="energy"} 40
rows_total{table="a b"} 2
rows_total_of_another 5
messages_total 7
`;

test('a metric is the sum over its labels', () => assert.equal(sumMetric(metrics, 'rows_total'), 42));
test('a metric without labels is its value', () => assert.equal(sumMetric(metrics, 'messages_total'), 7));
test('a metric without a value yet is nought', () => assert.equal(sumMetric(metrics, 'shipments_total'), 0));

test('tables are summed up to their rows and their newest time', () => {
  const tables = [
    { rows: 2, max_time: '2026-01-01T00:00:01Z' },
    { rows: 3, max_time: '2026-01-01T00:00:02.500Z' },
    { rows: 0, max_time: null },
  ];
  assert.deepEqual(summarizeTables({ tables }), {
    rowCount: 5,
    newestMs: Date.UTC(2026, 0, 1, 0, 0, 2, 500),
  });
});

test('without tables there are no rows, and without an answer nothing is known', () => {
  assert.deepEqual(summarizeTables({ tables: [] }), { rowCount: 0, newestMs: undefined });
  assert.deepEqual(summarizeTables(undefined), { rowCount: undefined, newestMs: undefined });
});
