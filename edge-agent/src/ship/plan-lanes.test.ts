import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { outboxEntry } from './shipping.test.fixture.js';
import { planRoom, planUploads } from './outbox.js';
import {
  addRange,
  advanceRanges,
  countMessages,
  planCatchUp,
  planJump,
  planJumpAtReturn,
} from './plan-lanes.js';

const full = {
  liveFirst: true,
  everyMs: 10_000,
  isWindowStuck: true,
  arrivedMs: 0,
  nowMs: 60_001,
  rangeCount: 0,
};

test('a full window of old messages: more waits than a window, so jump', () => assert(planJump(full)));
test('a window that is not full holds all that waits', () =>
  assert(!planJump({ ...full, isWindowStuck: false })));
test('a burst of new messages is no outage', () => assert(!planJump({ ...full, nowMs: 60_000 })));
test('old is six times ship.every', () => assert(!planJump({ ...full, everyMs: 60_000 })));
test('ship.live_first: false reads in order', () => assert(!planJump({ ...full, liveFirst: false })));
test('the ranges are bounded', () => assert(!planJump({ ...full, rangeCount: 64 })));

test('when the store is back, what is older than the windows that wait for it is jumped over', () => {
  const back = { ...full, nowMs: 40_001 };
  assert(planJumpAtReturn(back));
  assert(!planJumpAtReturn({ ...back, nowMs: 40_000 }));
  assert(!planJumpAtReturn({ ...back, liveFirst: false }));
  assert(!planJumpAtReturn({ ...back, rangeCount: 64 }));
});

const range = (firstSeq: number, endSeq: number) => ({ firstSeq, endSeq });
test('a flood is jumped over when several windows wait behind a full one', () => {
  const flood = { liveFirst: true, rowsMax: 10, messagesBehind: 41, rangeCount: 0 };
  assert(planCatchUp(flood));
  assert(!planCatchUp({ ...flood, messagesBehind: 40 }));
  assert(!planCatchUp({ ...flood, liveFirst: false }));
  assert(!planCatchUp({ ...flood, rangeCount: 64 }));
});
test('a jump makes a range', () =>
  assert.deepEqual(addRange([range(1, 5)], range(8, 9)), [range(1, 5), range(8, 9)]));
test('a jump again makes the range longer', () =>
  assert.deepEqual(addRange([range(1, 5)], range(5, 9)), [range(1, 9)]));
test('what is staged leaves the range', () =>
  assert.deepEqual(advanceRanges([range(1, 5), range(8, 9)], 3), [range(3, 5), range(8, 9)]));
test('a range that is staged goes', () =>
  assert.deepEqual(advanceRanges([range(1, 5), range(8, 9)], 5), [range(8, 9)]));
test('messages of ranges', () => assert.equal(countMessages([range(1, 5), range(8, 9)]), 5));

const windows = (count: number, lane: string) =>
  Array.from({ length: count }, (_, index) => ({
    ...outboxEntry(index, 'a', index, lane),
    lastLogSeq: index,
  }));
test('the live lane keeps four windows in the outbox', () => {
  assert(planRoom(windows(3, 'live'), 1e9, 'live', true));
  assert(!planRoom(windows(4, 'live'), 1e9, 'live', true));
  assert(planRoom(windows(127, 'live'), 1e9, 'live', false));
  assert(!planRoom(windows(128, 'live'), 1e9, 'live', false));
});
test('a backlog that fills the outbox leaves the live lane its room', () => {
  assert(!planRoom(windows(128, 'backlog'), 1e9, 'backlog', true));
  assert(planRoom(windows(128, 'backlog'), 1e9, 'live', true));
});
test('the live lane is uploaded first', () => {
  const entries = [outboxEntry(1, 'a', 1, 'backlog'), outboxEntry(2, 'a', 1)];
  assert.deepEqual(
    planUploads(entries, 1).map(({ id }) => id),
    [2],
  );
});
