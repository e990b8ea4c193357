import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { matchesFilter } from './topic-filter.js';

const cases: [string, string, boolean | undefined][] = [
  ['a/b', 'a/b', true],
  ['a/b', 'a/c', false],
  ['a/b', 'a/b/c', false],
  ['a/+', 'a/b', true],
  ['a/+', 'a/', true],
  ['a/+', 'a', false],
  ['a/+', 'a/b/c', false],
  ['a/+/c', 'a/b/c', true],
  ['a/#', 'a/b/c', true],
  ['a/#', 'a', true],
  ['a/#', 'ab', false],
  ['a/b/#', 'a', false],
  ['#', 'a/b', true],
  ['#', '$SYS/broker', false],
  ['+/broker', '$SYS/broker', false],
  ['$share/group/a/#', 'a/b', true],
  ['$share/group/a/#', 'b', false],
  ['$SYS/#', '$SYS/broker', undefined],
  ['$queue/a', 'a', undefined],
];
for (const [filter, topic, expected] of cases)
  test(`${filter} and ${topic}: ${String(expected)}`, () =>
    assert.equal(matchesFilter(filter, topic), expected));
