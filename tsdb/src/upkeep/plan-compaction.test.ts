import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { TableColumns } from '@varve/common/contract/columns.js';
import { BoundsLayout, packBounds } from '../delta/file-bounds.js';
import type { DataFile } from '../delta/snapshot.js';
import { planCompaction, sizeGroup, type CompactionPolicy } from './plan-compaction.js';

const mb = 2 ** 20;
const hourMs = 3_600_000;
const columns: TableColumns = { tags: [{ name: 'device' }], fields: [] };
const policy: CompactionPolicy = {
  ...{ filesMin: 3, filesMax: 4, targetBytes: 8 * mb, mergeBytesMax: 16 * mb, sortBytesMax: 100 * mb },
  ...{ settleMs: 1, closedAfterMs: 6 * hourMs, lateShareMin: 0.1, lateMsMax: 7 * 24 * hourMs },
};
const dayMs = Date.parse('2026-03-01T00:00:00Z');
const noonMs = dayMs + 12 * hourMs;
/** The day ended six hours ago. */
const closedMs = dayMs + 30 * hourMs;

type Shape = Partial<Pick<DataFile, 'day' | 'level' | 'maxTimeUs' | 'addedMs'>>;

function file(name: string, bytes: number, shape: Shape = {}): DataFile {
  const base = { day: '2026-03-01', rowCount: 1, minTimeUs: 0, maxTimeUs: 0, level: 0, addedMs: noonMs };
  return { path: name, key: name, bytes, ...base, ...shape };
}

/** The newest rows, of a day of their own: they say how late it is. */
const newest = (ms: number) => file('newest', 1, { day: '2026-04-01', maxTimeUs: ms * 1_000 });
const plan = (files: DataFile[], newestMs: number, nowMs = newestMs) =>
  planCompaction(
    { columns, files: new Map([...files, newest(newestMs)].map((file) => [file.path, file])) },
    policy,
    nowMs,
  )
    .map((job) => `${job.kind} ${job.files.map(({ path }) => path).join()}`)
    .join('; ');

const many = (names: string, bytes: number, shape: Shape = {}) =>
  names.split('').map((name) => file(name, bytes, shape));
const sorted = { level: 2 };

/** With devices from `min` to `max`. */
function range(name: string, [min, max]: [string, string], bytes: number, level: number): DataFile {
  const statistics = { minValues: { device: min }, maxValues: { device: max }, nullCount: { device: 0 } };
  return { ...file(name, bytes, { level }), bounds: packBounds(new BoundsLayout(columns), statistics, true) };
}

const open: [what: string, files: DataFile[], jobs: string][] = [
  ['nothing', [], ''],
  ['too few', many('ab', 1), ''],
  ['enough of one size', many('abc', 1), 'merge a,b,c'],
  ['sizes do not mix', [...many('ab', 1), file('c', 100_000)], ''],
  ['days do not mix', [...many('ab', 1), file('c', 1, { day: '2026-03-02' })], ''],
  ['files at the target are left alone', many('abc', 8 * mb), ''],
  ['large files need fewer', many('ab', 7 * mb), 'merge a,b'],
  ['new rows are left alone', [...many('ab', 1), file('c', 1, { maxTimeUs: noonMs * 1_000 - 500 })], ''],
  ['a job is bounded in files', many('abcde', 1), 'merge a,b,c,d'],
  ['a job is bounded in bytes', many('abcd', 5 * mb), 'merge a,b,c'],
  ['sorted files are left alone', many('abc', 1, sorted), ''],
  ['the most files first', [...many('xyz', 100_000), ...many('abcd', 1)], 'merge a,b,c,d; merge x,y,z'],
];
for (const [what, files, jobs] of open)
  test(`an open day: ${what}`, () => assert.equal(plan(files, noonMs), jobs));

const closed: [what: string, files: DataFile[], jobs: string][] = [
  ['all of it', many('ab', 1), 'sort a,b'],
  ['sizes and levels mix', [file('a', 1), file('b', 20 * mb, { level: 1 })], 'sort a,b'],
  ['one file is sorted as it is', many('a', 1), ''],
  ['one file that is too large is cut', many('a', 17 * mb), 'sort a'],
  ['what is sorted is left alone', many('abcdefg', 1, sorted), ''],
  ['few late rows wait', [...many('ab', 8 * mb, sorted), file('c', mb)], ''],
  [
    'few late rows are merged among themselves',
    [...many('ab', 8 * mb, sorted), ...many('cde', 1)],
    'merge c,d,e',
  ],
  ['many late rows reopen it', [...many('ab', 8 * mb, sorted), file('c', 2 * mb)], 'sort a,b,c'],
  ['a week later a few do, too', [...many('ab', 8 * mb, sorted), file('c', 1, { addedMs: 0 })], 'sort a,b,c'],
  ['too many files are merged first', many('abcde', 1), 'merge a,b,c,d'],
  ['too large a day is only merged', many('ab', 60 * mb), ''],
];
for (const [what, files, jobs] of closed)
  test(`a closed day: ${what}`, () => assert.equal(plan(files, closedMs), jobs));

test('late rows are sorted together with the files of their series, and with small ones', () => {
  const sortedFiles = [
    range('ac', ['a', 'c'], 8 * mb, 2),
    range('df', ['d', 'f'], 8 * mb, 2),
    range('gi', ['g', 'i'], 8 * mb, 2),
    range('small', ['x', 'z'], mb, 2),
  ];
  assert.equal(plan([...sortedFiles, range('late', ['e', 'e2'], 4 * mb, 0)], closedMs), 'sort df,small,late');
  assert.equal(
    plan([...sortedFiles, range('late', ['f', 'g'], 4 * mb, 0)], closedMs),
    'sort df,gi,small,late',
  );
  assert.equal(plan([...sortedFiles, file('late', 4 * mb)], closedMs), 'sort ac,df,gi,small,late');
});

test('a day is closed by rows that came later and by the clock, not by one of them', () => {
  const files = many('ab', 1);
  assert.equal(plan(files, closedMs - 1, closedMs + hourMs), '');
  assert.equal(plan(files, closedMs + hourMs, closedMs - 1), '');
  assert.equal(plan(files, closedMs, closedMs), 'sort a,b');
});

test('merges come before sorts', () => {
  const open = many('xyz', 1, { day: '2026-03-31' });
  assert.equal(
    plan([...many('ab', 1), ...open], Date.parse('2026-03-31T12:00:00Z')),
    'merge x,y,z; sort a,b',
  );
});

test('size groups', () => {
  assert.deepEqual([0, 1, 65_536, 65_537, 262_144, 262_145].map(sizeGroup), [0, 0, 0, 1, 1, 2]);
});
