import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { FillRate } from './fill-rate.js';

test('days until the room is filled', () => {
  const rate = new FillRate();
  assert.equal(rate.daysLeft(100), undefined, 'too early to say');
  rate.add(0, 0);
  rate.add(5_000, 999_999);
  assert.equal(rate.daysLeft(100), undefined, 'too soon for another sample');
  rate.add(10_000, 1_000);
  assert.equal(rate.daysLeft(8_640_000), 1);
});

test('nothing comes', () => {
  const rate = new FillRate();
  rate.add(0, 5);
  rate.add(10_000, 5);
  assert.equal(rate.daysLeft(100), undefined);
});

test('what was an hour ago does not count', () => {
  const rate = new FillRate();
  rate.add(0, 0);
  for (let atMs = 10_000; atMs <= 7_200_000; atMs += 10_000) rate.add(atMs, 1e9);
  assert.equal(rate.daysLeft(100), undefined);
});
