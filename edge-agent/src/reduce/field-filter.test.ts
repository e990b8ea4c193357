import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { filterReading, flushHeld, type FilterState, type Point } from './field-filter.js';
import type { FilterRule } from './reduce-config.js';

const heartbeatUs = 100;

/** The points that are kept, in the order they are. */
function keptOf(points: readonly Point[], rule: FilterRule): Point[] {
  const kept: Point[] = [];
  let state: FilterState | undefined;
  for (const point of points) {
    const decision = filterReading(state, point, rule, heartbeatUs);
    if (decision.keepsHeld && state?.held) kept.push(state.held);
    if (decision.keepsReading) kept.push(point);
    state = decision.state;
  }
  if (state?.held) kept.push(flushHeld(state).kept);
  return kept;
}

const points = (...values: readonly number[]): Point[] =>
  values.map((value, index) => ({ timeUs: index, value }));
const valuesOf = (kept: readonly Point[]) => kept.map(({ value }) => value);
const absolute: FilterRule = { kind: 'deadband', absolute: 1 };
const share: FilterRule = { kind: 'deadband', share: 0.1 };
const door: FilterRule = { kind: 'swinging_door', deviation: 1 };

const cases: [what: string, rule: FilterRule, values: number[], kept: number[]][] = [
  ['the first value is kept', absolute, [5], [5]],
  ['a value within the band goes', absolute, [5, 6, 4], [5]],
  ['a value beyond it is kept, and the band is around that', absolute, [5, 6.1, 5.2, 5], [5, 6.1, 5]],
  ['a share of the last value kept', share, [100, 109, 111, 121], [100, 111]],
  ['of a value below zero', share, [-100, -109, -111], [-100, -111]],
  ['the ends of a line are kept', door, [0, 1, 2, 3, 4], [0, 4]],
  ['and of the next line', door, [0, 2, 4, 6, 3, 0, -3], [0, 6, -3]],
  ['noise within the deviation goes', door, [0, 0.5, -0.5, 0.4, 0], [0, 0]],
];
for (const [what, rule, values, kept] of cases)
  test(`${rule.kind}: ${what}`, () => assert.deepEqual(valuesOf(keptOf(points(...values), rule)), kept));

test('the same value is kept once in a heartbeat', () => {
  const same = Array.from({ length: 31 }, (_, index) => ({ timeUs: index * 10, value: 7 }));
  for (const rule of [absolute, door])
    assert.deepEqual(
      keptOf(same, rule).map(({ timeUs }) => timeUs),
      [0, 100, 200, 300],
    );
});
test('a reading that comes late is kept, and changes nothing', () => {
  const late = [...points(5, 8), { timeUs: 0, value: 5.5 }, { timeUs: 2, value: 8.5 }];
  assert.deepEqual(valuesOf(keptOf(late, absolute)), [5, 8, 5.5]);
});

const series = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: -50, max: 50 })), {
    minLength: 1,
    maxLength: 60,
  })
  .map((steps) => {
    let timeUs = 0;
    return steps.map(([stepUs, value]) => ({ timeUs: (timeUs += stepUs), value: value / 4 }));
  });

test('deadband: every value is within the band of the last one kept before it', () => {
  fc.assert(
    fc.property(series, (all) => {
      const kept = keptOf(all, absolute);
      for (const point of all) {
        const before = kept.findLast(({ timeUs }) => timeUs <= point.timeUs);
        assert(before && Math.abs(before.value - point.value) <= 1);
      }
    }),
    { numRuns: 1_000 },
  );
});

test('swinging door: every value is within the deviation of the line between those kept', () => {
  fc.assert(
    fc.property(series, (all) => {
      const kept = keptOf(all, door);
      assert.equal(kept.at(-1)?.timeUs, all.at(-1)?.timeUs, 'the newest is not forgotten');
      for (const point of all) {
        const before = kept.findLast(({ timeUs }) => timeUs <= point.timeUs);
        const after = kept.find(({ timeUs }) => timeUs >= point.timeUs);
        assert(before && after);
        const span = after.timeUs - before.timeUs;
        const share = span === 0 ? 0 : (point.timeUs - before.timeUs) / span;
        const line = before.value + share * (after.value - before.value);
        assert(Math.abs(line - point.value) <= 1 + 1e-9, `${point.timeUs}: ${point.value}, line ${line}`);
      }
    }),
    { numRuns: 1_000 },
  );
});
