import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { runLoops, type Loop } from './run-loops.js';

const untilStopped: Loop = async (stop) => {
  if (!stop.aborted) await once(stop, 'abort');
};

test('ends when all loops have ended', async () => {
  const stop = new AbortController();
  const running = runLoops(stop.signal, [untilStopped, untilStopped]);
  stop.abort();
  await running;
  await runLoops(stop.signal, [untilStopped]);
});

test('a loop that fails stops the others', async () => {
  const failing: Loop = () => Promise.reject(new Error('broken'));
  await assert.rejects(runLoops(new AbortController().signal, [untilStopped, failing]), /broken/);
});
