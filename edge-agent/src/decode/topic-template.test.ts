import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { isTopicFilter } from '../source/topic-filter.js';
import { matchTopic, parseTopicTemplate, type TopicTemplate } from './topic-template.js';

function template(text: string): TopicTemplate {
  const parsed = parseTopicTemplate(text);
  assert(typeof parsed !== 'string', `${text} is refused`);
  return parsed;
}

const matches: [template: string, topic: string, tags: string[] | undefined][] = [
  ['plant/{site}/{device}/environment', 'plant/a/b/environment', ['a', 'b']],
  ['plant/{site}/{device}/environment', 'plant/a/b/vibration', undefined],
  ['plant/{site}/{device}/environment', 'plant/a/b', undefined],
  ['plant/{site}/{device}/environment', 'plant/a/b/environment/more', undefined],
  ['plant/+/{device}', 'plant/x/d', ['d']],
  ['plant/{site}/#', 'plant/a/b/c', ['a']],
  ['plant/{site}/#', 'plant/a', ['a']],
  ['#', 'anything/at/all', []],
  ['a/{t}', 'a/', ['']],
  ['a/b', 'a/b', []],
];
for (const [text, topic, tags] of matches)
  test(`${text} and ${topic} make ${JSON.stringify(tags)}`, () =>
    assert.deepEqual(matchTopic(template(text), topic), tags));

const wrong: [text: string, message: RegExp][] = [
  ['', /write a topic/],
  ['a/#/b', /# may only be the last/],
  ['a/{x}/{x}', /stands twice/],
  ['a/{Site Name}', /write \{site_name\}/],
  ['a/{time}', /write \{time_\}/],
  ['a/b{c}', /is not understood/],
  ['a/b+', /is not understood/],
];
for (const [text, message] of wrong)
  test(`"${text}" is refused with a remedy`, () => {
    const refusal = parseTopicTemplate(text);
    assert(typeof refusal === 'string');
    assert.match(refusal, message);
  });

const filters: [filter: string, valid: boolean][] = [
  ['plant/#', true],
  ['#', true],
  ['+/a', true],
  ['/', true],
  ['', false],
  ['a/#/b', false],
  ['a#', false],
  ['a+/b', false],
  ['a\0', false],
  ['$share/gateways/plant/#', true],
  ['$share/gateways//', true],
  ['$share/gateways', false],
  ['$share/gateways/', false],
  ['$share//plant', false],
  ['$share/g+/plant', false],
  ['$share/g/plant/#/x', false],
  ['$share', false],
  ['$shared/x', true],
];
for (const [filter, valid] of filters)
  test(`topic filter ${JSON.stringify(filter)} is ${valid ? 'right' : 'wrong'}`, () =>
    assert.equal(isTopicFilter(filter), valid));
