import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { pickLttb } from './lttb.js';

function pick(ys: readonly number[], count: number): number[] {
  return pickLttb({ length: ys.length, x: (at) => at, y: (at) => ys[at] ?? Number.NaN }, count);
}

test('keeps everything where that is little enough', () => {
  assert.deepEqual(pick([1, 2, 3], 3), [0, 1, 2]);
  assert.deepEqual(pick([], 3), []);
  assert.deepEqual(pick([1, 2, 3, 4], 2), [0, 3]);
  assert.deepEqual(pick([1, 2, 3, 4], 1), [0]);
});

test('keeps the peak of a flat line', () => {
  const ys = Array.from({ length: 1_000 }, (_, at) => (at === 437 ? 50 : 0));
  assert.ok(pick(ys, 10).includes(437));
});

test('any series: as many points as wanted, ascending, with both ends, one from each bucket', () => {
  const value = fc.oneof(fc.double({ noDefaultInfinity: true }), fc.constant(Number.NaN));
  fc.assert(
    fc.property(fc.array(value, { maxLength: 300 }), fc.integer({ min: 1, max: 60 }), (ys, count) => {
      const picked = pick(ys, count);
      assert.equal(picked.length, Math.min(ys.length, count));
      assert.ok(picked.every((at, index) => index === 0 || at > (picked[index - 1] ?? Infinity)));
      if (ys.length > 0) assert.equal(picked[0], 0);
      if (ys.length > 0 && count > 1) assert.equal(picked.at(-1), ys.length - 1);
    }),
  );
});

test('a bucket picks what makes the largest triangle', () => {
  // 3 buckets of 2 between the ends; worked out by hand from the areas.
  const ys = [0, 1, 5, 4, -3, 2, 8, 0];
  const area = (a: number, b: number, nextX: number, nextY: number) =>
    Math.abs((a - nextX) * ((ys[b] ?? 0) - (ys[a] ?? 0)) - (a - b) * (nextY - (ys[a] ?? 0)));
  const picked = pick(ys, 5);
  const [first = 0, second = 0, third = 0] = picked.slice(1, 4);
  assert.equal(first, area(0, 1, 3.5, 0.5) >= area(0, 2, 3.5, 0.5) ? 1 : 2);
  assert.equal(second, area(first, 3, 5.5, 5) >= area(first, 4, 5.5, 5) ? 3 : 4);
  assert.equal(third, area(second, 5, 7, 0) >= area(second, 6, 7, 0) ? 5 : 6);
  assert.deepEqual(picked, [0, 2, 4, 6, 7]);
});
