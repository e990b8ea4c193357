import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogListing } from './log-listing.js';
import { isCheckpointDue } from './log-keeper.js';
import { planLogCleanup } from './plan-log-cleanup.js';

/** Version n was committed at n o'clock. */
function listing(newest: number, checkpoints: readonly number[], first = 0): LogListing {
  const versions = Array.from({ length: newest + 1 - first }, (_, index) => first + index);
  return {
    commits: versions.map((version) => ({ version, modifiedMs: version })),
    checkpoints: checkpoints.map((version) => ({ version, keys: [`${version}.cp`], modifiedMs: version })),
    v2Checkpoints: [],
    keys: [
      ...versions.map((version) => ({ key: `${version}`, version })),
      ...checkpoints.map((version) => ({ key: `${version}.cp`, version })),
    ],
  };
}

test('what is before the checkpoint of the first version inside retention goes, oldest first', () => {
  assert.deepEqual(planLogCleanup(listing(9, [2, 4, 8]), 5), ['0', '1', '2', '2.cp', '3']);
  assert.deepEqual(planLogCleanup(listing(9, [2, 4, 8]), 4.5), ['0', '1', '2', '2.cp', '3']);
  assert.deepEqual(planLogCleanup(listing(9, [2, 4, 8]), 3), ['0', '1']);
  assert.deepEqual(planLogCleanup(listing(9, [4, 8], 4), 6), []);
});

test('without a checkpoint that old, or a version that old, everything stays', () => {
  assert.deepEqual(planLogCleanup(listing(9, []), 5), []);
  assert.deepEqual(planLogCleanup(listing(9, [6]), 5), []);
  assert.deepEqual(planLogCleanup(listing(9, [6]), -1), []);
});

test('a table that nothing was committed to for long keeps its newest version', () => {
  assert.deepEqual(planLogCleanup(listing(3, [2]), 1_000), ['0', '1']);
});

test('a pinned version keeps its commit and its checkpoint', () => {
  assert.deepEqual(planLogCleanup(listing(9, [1, 4]), 5, new Set([1])), ['0', '2', '3']);
});

test('who committed writes the checkpoint; another process only when nobody does', () => {
  const due = (version: number, ownVersion: number) =>
    isCheckpointDue({ version, checkpointVersion: 10, ownVersion });
  assert.deepEqual(
    [due(29, 29), due(30, 11), due(30, 10), due(109, -1), due(110, -1)],
    [false, true, false, false, true],
  );
});
