import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnsOf } from './turns.js';

test('a cycle of rounds has every order once', () => {
  const rounds = Array.from({ length: 6 }, (_, round) => turnsOf(['a', 'b', 'c'], round).join(''));
  assert.deepEqual([...new Set(rounds)].sort(), ['abc', 'acb', 'bac', 'bca', 'cab', 'cba']);
  assert.deepEqual(turnsOf(['a', 'b', 'c'], 6), turnsOf(['a', 'b', 'c'], 0));
  assert.deepEqual(turnsOf([], 5), []);
});
