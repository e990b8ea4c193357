import assert from 'node:assert/strict';
import { test } from 'node:test';
import { positionOfByte, positionOfCharacter } from './text-position.js';

test('counts from 1', () => {
  assert.deepEqual(positionOfByte('abc', 0), { position: 1, line: 1, column: 1 });
  assert.deepEqual(positionOfByte('abc', 3), { position: 4, line: 1, column: 4 });
});
test('starts columns again on every line', () => {
  assert.deepEqual(positionOfByte('ab\ncd', 3), { position: 4, line: 2, column: 1 });
  assert.deepEqual(positionOfByte('ab\n\ncd', 5), { position: 6, line: 3, column: 2 });
});
test('a letter of several bytes is one character', () => {
  assert.deepEqual(positionOfByte('é😀x', 6), { position: 3, line: 1, column: 3 });
  assert.deepEqual(positionOfCharacter('é😀x', 2), { position: 3, line: 1, column: 3 });
});
