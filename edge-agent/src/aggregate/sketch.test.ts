import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { sketchAccuracy, sketchPattern } from '@varve/common/contract/aggregate.js';
import { Sketch, sketchBinsMax } from './sketch.js';

function textOf(values: readonly number[]): string {
  const sketch = new Sketch();
  for (const value of values) sketch.add(value);
  return sketch.toText();
}

function binsOf(text: string): { value: number; count: number }[] {
  return text.split(' ').map((bin) => {
    const [value = NaN, count = NaN] = bin.split(':').map(Number);
    return { value, count };
  });
}

/** As SQL finds it (tsdb `merge-partials.ts`). */
function quantileOf(text: string, quantile: number): number {
  const bins = binsOf(text).sort((a, b) => a.value - b.value);
  const rank = quantile * (bins.reduce((sum, { count }) => sum + count, 0) - 1);
  let upTo = 0;
  return bins.find(({ count }) => (upTo += count) > rank)?.value ?? NaN;
}

test('values of one bin stand together, below zero and at it, too', () =>
  assert.equal(textOf([20, 20.01, -3, 0, 0]), '-3.0008:1 0:2 20.08:2'));

const value = fc.oneof(
  fc.double({ min: -1e4, max: 1e4, noNaN: true }).filter((each) => each === 0 || Math.abs(each) >= 1e-3),
  fc.integer({ min: -50, max: 50 }),
);

test('any quantile, merged from any parts, is within the accuracy of the value that has that rank', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(value, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 5 }),
      fc.double({ min: 0.001, max: 0.999, noNaN: true }),
      (parts, quantile) => {
        const merged = parts.map(textOf).join(' ');
        assert.match(merged, new RegExp(`^${sketchPattern}$`));
        const sorted = parts.flat().sort((a, b) => a - b);
        const exact = sorted[Math.floor(quantile * (sorted.length - 1))] ?? NaN;
        const error = Math.abs(quantileOf(merged, quantile) - exact);
        assert(error <= sketchAccuracy * Math.abs(exact), `${exact} is off by ${error}`);
      },
    ),
    { numRuns: 500 },
  );
});

test('whatever the values, a sketch has its bound, and counts all of them', () => {
  const wide = Array.from(
    { length: 20_000 },
    (_, index) => (index % 2 === 0 ? 1 : -1) * 10 ** ((index % 600) - 300),
  );
  const text = textOf([...wide, Number.MIN_VALUE]);
  const bins = binsOf(text);
  assert(
    bins.length <= 2 * sketchBinsMax + 1 && text.length < 60_000,
    `${bins.length} bins, ${text.length} characters`,
  );
  assert.equal(
    bins.reduce((sum, { count }) => sum + count, 0),
    wide.length + 1,
  );
  assert(Math.abs(quantileOf(text, 0.999) / 1e298 - 1) < sketchAccuracy, 'the greatest keep their accuracy');
});

test('the greatest number there is stays one', () =>
  assert.equal(textOf([Number.MAX_VALUE, -Number.MAX_VALUE]), '-1.7976e+308:1 1.7976e+308:1'));
