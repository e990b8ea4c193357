import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { median, percentile, slope } from './statistics.js';

test('percentiles take the nearest rank, in whatever order the values stand', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(percentile([4, 3, 2, 1], 99), 4);
  assert.equal(percentile([4, 3, 2, 1], 0), 1);
  assert(Number.isNaN(median([])));
});

test('the slope is that of the line with the least squares', () => {
  const line = [0, 1, 2, 3].map((x) => ({ x, y: 7 - 2 * x }));
  assert.equal(slope(line), -2);
  const noise = [1, -1, -1, 1];
  assert.equal(slope(line.map(({ x, y }, index) => ({ x, y: y + (noise[index] ?? 0) }))), -2);
});
