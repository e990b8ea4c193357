import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock, type Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { watchCatalog } from './watch-catalog.js';

test('goes on when the store fails, and ends when it is told to', async () => {
  const stop = new AbortController();
  const clock: Clock = { ...systemClock, sleep: () => Promise.resolve() };
  let refreshes = 0;
  const refresh = async () => {
    refreshes += 1;
    if (refreshes === 2) throw new Failure('store_unavailable', 'no route');
    if (refreshes === 4) stop.abort();
    await Promise.resolve();
  };
  await watchCatalog({ catalog: { current: () => [], refresh }, clock, log: silentLogger() }, stop.signal);
  assert.equal(refreshes, 4);
});

test('does not hide a fault of ours', async () => {
  const clock: Clock = { ...systemClock, sleep: () => Promise.resolve() };
  const catalog = { current: () => [], refresh: () => Promise.reject(new TypeError('a fault')) };
  await assert.rejects(
    watchCatalog({ catalog, clock, log: silentLogger() }, new AbortController().signal),
    /a fault/,
  );
});
