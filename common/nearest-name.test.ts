import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName } from './nearest-name.js';

const names = ['environment', 'energy', 'vibration'];
const cases: [wanted: string, nearest: string | undefined][] = [
  ['environmet', 'environment'],
  ['enviroment', 'environment'],
  ['enrgy', 'energy'],
  ['energy', 'energy'],
  ['vibrations', 'vibration'],
  ['eenrgy', 'energy'],
  ['pressure', undefined],
  ['', undefined],
];
for (const [wanted, nearest] of cases)
  test(`the nearest to "${wanted}" is ${nearest ?? 'none'}`, () =>
    assert.equal(nearestName(wanted, names), nearest));
