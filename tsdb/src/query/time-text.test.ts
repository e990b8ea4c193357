import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dateText, intervalText, timestampText } from './time-text.js';

const us = 1_000_000;
const timestamps: [value: bigint, perSecond: number, text: string | undefined][] = [
  [0n, us, '1970-01-01T00:00:00Z'],
  [1_767_225_600_000_000n, us, '2026-01-01T00:00:00Z'],
  [1_767_225_600_250_000n, us, '2026-01-01T00:00:00.25Z'],
  [1_767_225_600_000_001n, us, '2026-01-01T00:00:00.000001Z'],
  [-1n, us, '1969-12-31T23:59:59.999999Z'],
  [-1_000_000n, us, '1969-12-31T23:59:59Z'],
  [1_767_225_600n, 1, '2026-01-01T00:00:00Z'],
  [1_767_225_600_123n, 1_000, '2026-01-01T00:00:00.123Z'],
  [1_767_225_600_000_000_009n, 1_000_000_000, '2026-01-01T00:00:00.000000009Z'],
  [253_402_300_799_999_999n, us, '9999-12-31T23:59:59.999999Z'],
  [253_402_300_800_000_000n, us, undefined],
  [9_007_199_254_740_991n, us, '2255-06-05T23:47:34.740991Z'],
  [9_007_199_254_740_992n, us, '2255-06-05T23:47:34.740992Z'],
  [-62_167_219_200_000_000n, us, '0000-01-01T00:00:00Z'],
  [-62_167_219_200_000_001n, us, undefined],
];
for (const [value, perSecond, text] of timestamps)
  test(`${value}/${perSecond} s is ${text ?? 'out of reach'}`, () =>
    assert.equal(timestampText(value, perSecond), text));

test('agrees with JavaScript on milliseconds', () => {
  fc.assert(
    fc.property(
      fc.date({ noInvalidDate: true, min: new Date('0000-01-01'), max: new Date('9999-12-31') }),
      (date) => {
        const text = timestampText(BigInt(date.getTime()), 1_000) ?? '';
        assert.equal(new Date(text).getTime(), date.getTime());
      },
    ),
  );
});

test('agrees with whole numbers of any size, at every microsecond', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.maxSafeInteger(),
        fc.integer().map((second) => second * us - 1),
      ),
      (value) => {
        // Past 2^53 another way is taken, in BigInt: 400 years later the calendar is the same.
        const later = BigInt(value) + 146_097n * 86_400n * 1_000_000n;
        const [text, textLater] = [timestampText(BigInt(value), us), timestampText(later, us)];
        if (text === undefined || textLater === undefined) return;
        assert.equal(textLater.slice(4), text.slice(4));
      },
    ),
  );
});

const dates: [days: number, text: string | undefined][] = [
  [0, '1970-01-01'],
  [-1, '1969-12-31'],
  [20_454, '2026-01-01'],
  [2_932_897, undefined],
];
for (const [days, text] of dates)
  test(`day ${days} is ${text ?? 'out of reach'}`, () => assert.equal(dateText(days), text));

const intervals: [months: number, days: number, micros: bigint, text: string][] = [
  [0, 0, 0n, 'PT0S'],
  [1, 2, 3_500_000n, 'P1M2DT3.5S'],
  [14, 0, 0n, 'P1Y2M'],
  [-14, 0, 0n, 'P-1Y-2M'],
  [0, -1, 0n, 'P-1D'],
  [0, 0, -1_500_000n, 'PT-1.5S'],
  [0, 0, -500_000n, 'PT-0.5S'],
  [0, 0, 3_600_000_000n, 'PT3600S'],
];
for (const [months, days, micros, text] of intervals)
  test(`${months} months, ${days} days, ${micros} us is ${text}`, () =>
    assert.equal(intervalText(months, days, micros), text));
