import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { StreamConfig } from '../config.js';
import { parseTopicTemplate } from '../decode/topic-template.js';
import { StreamRanks } from './stream-ranks.js';

function stream(name: string, text: string, priority: number): StreamConfig {
  const topic = parseTopicTemplate(text);
  assert(typeof topic !== 'string');
  return {
    ...{ name, topic, priority, database: 'main', format: 'json', time: undefined, fields: undefined },
    ...{ raw: 'ship', aggregates: [] },
  };
}

const ranks = new StreamRanks([stream('noise', 'p/{x}/{y}', -5), stream('alarm', 'p/{x}/alarm', 10)]);
const cases: [string, string, string | null, number][] = [
  ['a message of one stream', 'p/1/noise', 'noise', -5],
  ['of several, the most important', 'p/1/alarm', 'alarm', 10],
  ['of none, as the lowest', 'elsewhere', null, -5],
];
for (const [what, topic, name, priority] of cases)
  test(`ranks: ${what}`, () => assert.deepEqual(ranks.rankOf(topic), { stream: name, priority }));

test('every priority once, the lowest first', () => assert.deepEqual(ranks.priorities, [-5, 10]));
