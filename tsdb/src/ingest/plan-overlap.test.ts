import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataFile } from '../delta/snapshot.js';
import { planOverlap } from './plan-overlap.js';

const file = (path: string, minTimeUs: number, maxTimeUs: number, day = '2026-03-01'): DataFile => ({
  path,
  key: path,
  day,
  bytes: 1,
  rowCount: 1,
  minTimeUs,
  maxTimeUs,
  level: 0,
  addedMs: 0,
});

const files = [
  file('early', 0, 10),
  file('middle', 10, 20),
  file('late', 21, 30),
  file('other day', 0, 30, '2026-03-02'),
];

const cases: [minTimeUs: number, maxTimeUs: number, expected: string[]][] = [
  [31, 40, []],
  [30, 40, ['late']],
  [10, 10, ['early', 'middle']],
  [0, 40, ['early', 'middle', 'late']],
  [12, 13, ['middle']],
  [-5, -1, []],
];
for (const [minTimeUs, maxTimeUs, expected] of cases)
  test(`rows from ${minTimeUs} to ${maxTimeUs} may meet ${expected.join(', ') || 'no file'}`, () => {
    const found = planOverlap(files, { day: '2026-03-01', minTimeUs, maxTimeUs });
    assert.deepEqual(
      found.map(({ path }) => path),
      expected,
    );
  });
