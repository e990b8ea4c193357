import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { ByteRate, planFreeAtMs } from './byte-rate.js';

test('what is sent takes its time', () => assert.equal(planFreeAtMs(0, 0, 64_000, 64_000), 1_000));
test('it adds up', () => assert.equal(planFreeAtMs(5_000, 2_000, 32_000, 64_000), 5_500));
test('an idle line saves nothing up', () =>
  assert.equal(planFreeAtMs(5_000, 60_000, 64_000, 64_000), 61_000));

test('the average keeps within the rate, with a burst of one upload', () => {
  let nowMs = 0;
  const rate = new ByteRate({ ...systemClock, monotonicMs: () => nowMs }, 10_000);
  assert.equal(rate.waitMs, 0);
  for (let upload = 0; upload < 100; upload++) {
    rate.spend(5_000);
    nowMs += rate.waitMs;
  }
  assert.equal(nowMs, 50_000);
});

test('without a rate nothing waits', () => {
  const rate = new ByteRate(systemClock, undefined);
  rate.spend(1e12);
  assert.equal(rate.waitMs, 0);
  assert.equal(rate.uploadsMax, undefined);
});
