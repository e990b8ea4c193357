import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { mapBounded } from './bounded.js';

test('results keep their order, and no more than the limit are under way', async () => {
  let underWay = 0;
  let most = 0;
  const doubled = await mapBounded([1, 2, 3, 4, 5], 2, async (item) => {
    most = Math.max(most, (underWay += 1));
    await setImmediate();
    underWay -= 1;
    return item * 2;
  });
  assert.deepEqual(doubled, [2, 4, 6, 8, 10]);
  assert.equal(most, 2);
});

test('after a failure nothing new starts, and what runs is waited for', async () => {
  const started: number[] = [];
  const finished: number[] = [];
  const work = mapBounded([1, 2, 3, 4, 5], 2, async (item) => {
    started.push(item);
    if (item === 1) throw new Error('broken');
    for (let turn = 0; turn < 5; turn += 1) await setImmediate();
    finished.push(item);
  });
  await assert.rejects(work, /broken/);
  assert.deepEqual([started, finished], [[1, 2], [2]]);
});
