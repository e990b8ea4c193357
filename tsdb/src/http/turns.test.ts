import assert from 'node:assert/strict';
import { setImmediate as nextLoop } from 'node:timers/promises';
import { test } from 'node:test';
import { Turns } from './turns.js';

test('who is not crowded out enters at once', async () => {
  const turns = new Turns();
  for (let loop = 0; loop < 3; loop++) {
    let entered = 0;
    for (let request = 0; request < 4; request++) turns.take(() => (entered += 1));
    assert.equal(entered, 4);
    await nextLoop();
  }
});

test('a crowd enters a few a loop, in the order in which it came', async () => {
  const turns = new Turns();
  const entered: number[] = [];
  for (let request = 0; request < 11; request++) turns.take(() => entered.push(request));
  const counts = [entered.length];
  while (entered.length < 12) {
    await nextLoop();
    counts.push(entered.length);
    // Comes while others wait.
    if (counts.length === 2) turns.take(() => entered.push(11));
    assert.ok(counts.length < 20);
  }
  const steps = counts.slice(1).map((count, index) => count - (counts[index] ?? 0));
  assert.ok(Math.max(...steps) <= 4, `${steps.join()} in a loop`);
  assert.deepEqual(entered, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

test('what one does in promises is done before the next one enters', async () => {
  const turns = new Turns();
  let inside = 0;
  const most: number[] = [];
  for (let request = 0; request < 12; request++)
    turns.take(() => {
      if (request < 4) return;
      inside += 1;
      most.push(inside);
      void Promise.resolve()
        .then(() => undefined)
        .then(() => (inside -= 1));
    });
  while (most.length < 8) await nextLoop();
  assert.equal(Math.max(...most), 1);
});
