import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TextPage, TextStamp } from './text-page.js';

const numbers = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer().map((value) => value / 100),
  fc.maxSafeInteger(),
  fc
    .tuple(fc.maxSafeInteger(), fc.integer({ min: 0, max: 9 }))
    .map(([value, digits]) => value / 10 ** digits),
  fc.tuple(fc.integer(), fc.integer({ min: 0, max: 7 })).map(([value, digits]) => value / 10 ** digits),
  fc.constantFrom(
    0,
    -0,
    1e7,
    1e7 - 0.01,
    1e13,
    1e15,
    1e21,
    0.29,
    1.005,
    -0.01,
    1e-6,
    1e-7,
    5e-324,
    0.1 + 0.2,
  ),
);

test('numbers are written as String writes them', () => {
  const page = new TextPage();
  fc.assert(
    fc.property(numbers, (value) => {
      page.putNumber(value);
      assert.equal(page.takeText(), String(value));
    }),
    { numRuns: 20_000 },
  );
});

test('texts of all lengths and alphabets stay what they are, whoever takes them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 100 })),
      fc.boolean(),
      (texts, asStamps) => {
        const page = new TextPage();
        for (const text of texts)
          if (asStamps) page.putStamp(new TextStamp(text));
          else page.put(text);
        const { length } = page;
        const taken = page.take();
        assert.equal(taken.toString(), texts.join(''));
        assert.equal(taken.length, length);
        assert.equal(page.length, 0);
      },
    ),
  );
});

test('a page grows with what is written, and what was taken stays', () => {
  const page = new TextPage();
  const long = 'ü'.repeat(100_000);
  page.put(long);
  page.putCharacter(44);
  const taken = page.take();
  for (let number = 0; number < 50_000; number++) page.putDigits(number % 100, 3);
  assert.equal(taken.toString(), `${long},`);
  assert.equal(page.takeText().slice(-6), '098099');
});
