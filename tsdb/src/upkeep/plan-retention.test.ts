import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { DataFile } from '../delta/snapshot.js';
import { planRetention } from './plan-retention.js';

const dayMs = 86_400_000;
const startMs = Date.parse('2026-03-01T00:00:00Z');

/** A file of each of ten days, with a row in its last millisecond. */
const files = Array.from({ length: 10 }, (_, index): DataFile => {
  const day = new Date(startMs + index * dayMs).toISOString().slice(0, 10);
  const timeUs = (startMs + (index + 1) * dayMs - 1) * 1_000;
  const shape = { path: day, key: day, day, bytes: 100, rowCount: 10, level: 0, addedMs: 0 };
  return { ...shape, minTimeUs: timeUs, maxTimeUs: timeUs };
});
const newestMs = startMs + 10 * dayMs - 1;

const cases: [what: string, retainMs: number, nowMs: number, days: number][] = [
  ['nothing is old enough', 10 * dayMs, newestMs, 0],
  ['a day that is partly old stays', 8.5 * dayMs, newestMs, 1],
  ['whole days go', 3 * dayMs, newestMs, 6],
  ['less than a day: the newest day stays', 3_600_000, newestMs, 9],
  ['a clock that runs ahead changes nothing', 3 * dayMs, newestMs + 1_000 * dayMs, 6],
  ['a clock that is behind deletes less', 3 * dayMs, newestMs - 3 * dayMs, 3],
  ['a clock at 1970 deletes nothing', 3 * dayMs, 0, 0],
];
for (const [what, retainMs, nowMs, days] of cases)
  test(what, () => {
    const expired = planRetention(files, retainMs, nowMs);
    assert.equal(expired.days.length, days);
    assert.deepEqual([expired.files.length, expired.rowCount, expired.bytes], [days, 10 * days, 100 * days]);
  });

test('a row with a date of the future deletes nothing that the clock would not', () => {
  const future = { ...files[0], day: '2099-01-01', maxTimeUs: Date.parse('2099-01-01T00:00:00Z') * 1_000 };
  assert.equal(planRetention([...files, future as DataFile], 3 * dayMs, newestMs).days.length, 6);
});

test('a table without files has nothing to lose', () => {
  assert.deepEqual(planRetention([], dayMs, newestMs).days, []);
});
