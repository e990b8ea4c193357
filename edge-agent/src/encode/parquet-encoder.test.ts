import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { planIdleMs } from './parquet-encoder.js';

test('the thread is kept where it was needed again soon, and ended with the window where it was not', () => {
  assert.equal(planIdleMs(800), 3_000);
  assert.equal(planIdleMs(3_000), 3_000);
  assert.equal(planIdleMs(9_500), 200);
  assert.equal(planIdleMs(Infinity), 200);
});
