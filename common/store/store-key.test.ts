import assert from 'node:assert/strict';
import { it } from 'node:test';
import { compareKeys } from './store-key.js';

it('compareKeys orders as UTF-8 bytes do', () => {
  const characters = [
    '',
    '-',
    '.',
    '/',
    'a',
    '\u007f',
    'é',
    '\u07ff',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{10ffff}',
  ];
  const keys = characters.flatMap((first) => characters.map((second) => first + second));
  for (const left of keys)
    for (const right of keys)
      assert.equal(
        Math.sign(compareKeys(left, right)),
        Buffer.compare(Buffer.from(left), Buffer.from(right)),
        JSON.stringify([left, right]),
      );
});
