import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { DataFile } from '../delta/snapshot.js';
import { planDelete, type TimeRange } from './plan-delete.js';

function file(path: string, minTimeUs: number, maxTimeUs: number, day = '2026-03-01'): DataFile {
  return { path, key: path, day, bytes: 1, rowCount: 1, minTimeUs, maxTimeUs, level: 0, addedMs: 0 };
}
const files = [file('a', 0, 9), file('b', 10, 19), file('c', 20, 29)];
const ever: TimeRange = { startUs: -Infinity, endUs: Infinity };

const cases: [what: string, range: TimeRange, hasCondition: boolean, whole: string, candidates: string][] = [
  ['everything', ever, false, 'a,b,c', ''],
  ['whatever the condition says', ever, true, '', 'a,b,c'],
  ['a range that holds a file', { startUs: 10, endUs: 20 }, false, 'b', ''],
  ['a range that cuts files', { startUs: 5, endUs: 25 }, false, 'b', 'a,c'],
  ['the end is not part of it', { startUs: 0, endUs: 20 }, false, 'a,b', ''],
  ['the start is', { startUs: 29, endUs: 30 }, false, '', 'c'],
  ['a range before', { startUs: -10, endUs: 0 }, false, '', ''],
  ['a range and a condition', { startUs: 10, endUs: 20 }, true, '', 'b'],
];
const paths = (list: readonly DataFile[]) => list.map(({ path }) => path).join();
for (const [what, range, hasCondition, whole, candidates] of cases)
  test(what, () => {
    const plan = planDelete(files, range, hasCondition, new Set(), 10);
    assert.deepEqual([paths(plan.whole), paths(plan.candidates)], [whole, candidates]);
  });

test('so many at a time, the first days first, none that has been looked at', () => {
  const days = [file('new', 0, 0, '2026-03-02'), ...files];
  assert.equal(paths(planDelete(days, ever, true, new Set(['b']), 2).candidates), 'a,c');
  assert.equal(paths(planDelete(days, ever, true, new Set(['a', 'b', 'c']), 2).candidates), 'new');
});
