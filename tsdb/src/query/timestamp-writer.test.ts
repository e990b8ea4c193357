import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TextPage } from './text-page.js';
import { timestampText } from './time-text.js';
import { TimestampWriter } from './timestamp-writer.js';

const starts = fc.oneof(
  fc.integer({ min: -1e15, max: 3e15 }),
  fc.maxSafeInteger(),
  fc.constantFrom(-62_167_219_200_000_000, -62_167_219_200_000_001, -1, 0, 1_767_225_599_999_999),
);
const steps = fc.constantFrom(1, 250_000, 1e6, 1e7, 60e6, 3_599e6, 3_600e6, 86_400e6, -61e6);

test('timestamps one after the other are written as one by one', () => {
  const page = new TextPage();
  fc.assert(
    fc.property(
      starts,
      steps,
      fc.constantFrom(1, 1_000, 1_000_000),
      fc.constantFrom('"' as const, '' as const),
      (start, step, perSecond, quote) => {
        const writer = new TimestampWriter(perSecond, quote);
        for (
          let value = start, count = 0;
          count < 100 && Number.isSafeInteger(value);
          value += step, count++
        ) {
          const text = timestampText(BigInt(value), perSecond);
          const isWritten = writer.put(value, page);
          // What is left to the general way is written there.
          if (text === undefined) assert.ok(!isWritten);
          assert.equal(page.takeText(), isWritten ? `${quote}${text}${quote}` : '');
        }
      },
    ),
  );
});

test('times of sensors are written', () => {
  const page = new TextPage();
  const writer = new TimestampWriter(1_000_000, '"');
  for (const value of [1_767_225_600_000_000, 1_767_225_600_250_000, 1_767_311_999_999_999]) {
    assert.ok(writer.put(value, page));
    page.put(' ');
  }
  assert.equal(
    page.takeText(),
    '"2026-01-01T00:00:00Z" "2026-01-01T00:00:00.25Z" "2026-01-01T23:59:59.999999Z" ',
  );
});
