import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { DataFile } from '../delta/snapshot.js';
import { planCompaction, sizeGroup, type CompactionPolicy } from './plan-compaction.js';

const policy: CompactionPolicy = { filesMin: 3, filesMax: 4, targetBytes: 2 ** 20, settleMs: 1 };

function file(name: string, bytes: number, { day = '2026-03-01', maxTimeUs = 0 } = {}): DataFile {
  return { path: name, key: name, day, bytes, rowCount: 1, minTimeUs: 0, maxTimeUs };
}

/** The newest rows, which keep everything else settled and are not settled themselves. */
const newest = file('newest', 1, { maxTimeUs: 1_000_000 });
const names = (files: DataFile[]) =>
  planCompaction([...files, newest], policy).map((job) => job.files.map(({ path }) => path).join());

const cases: [what: string, files: DataFile[], jobs: string[]][] = [
  ['nothing', [], []],
  ['too few', [file('a', 1), file('b', 1)], []],
  ['enough of one size', [file('a', 1), file('b', 1), file('c', 1)], ['a,b,c']],
  ['sizes do not mix', [file('a', 1), file('b', 1), file('c', 100_000)], []],
  ['days do not mix', [file('a', 1), file('b', 1), file('c', 1, { day: '2026-03-02' })], []],
  ['files at the target are left alone', [file('a', 2 ** 20), file('b', 2 ** 20), file('c', 2 ** 20)], []],
  ['new rows are left alone', [file('a', 1), file('b', 1), file('c', 1, { maxTimeUs: 999_500 })], []],
  ['a job is bounded', ['a', 'b', 'c', 'd', 'e'].map((name) => file(name, 1)), ['a,b,c,d']],
];
for (const [what, files, jobs] of cases) test(what, () => assert.deepEqual(names(files), jobs));

test('the job that saves most files comes first', () => {
  const small = ['a', 'b', 'c', 'd'].map((name) => file(name, 1));
  const middle = ['x', 'y', 'z'].map((name) => file(name, 100_000));
  assert.deepEqual(names([...middle, ...small]), ['a,b,c,d', 'x,y,z']);
});

test('size groups', () => {
  assert.deepEqual([0, 1, 65_536, 65_537, 262_144, 262_145].map(sizeGroup), [0, 0, 0, 1, 1, 2]);
});
