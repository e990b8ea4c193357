import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { Router } from '../decode/router.js';
import { parseTopicTemplate } from '../decode/topic-template.js';
import { Window } from './window.js';

const topic = parseTopicTemplate('plant/{device}');
assert(typeof topic !== 'string');
const router = new Router([
  {
    name: 'environment',
    database: 'main',
    topic,
    format: 'json',
    time: undefined,
    fields: undefined,
    priority: 0,
    raw: 'ship' as const,
    aggregates: [],
  },
]);
const message = (seq: number, payload: string) => ({
  ...{ seq, source: 'plant', topic: 'plant/press', payload: Buffer.from(payload), arrivedMs: 5 },
  ...{ arrivedUs: 5_000, packetId: 0 },
});
const policy = { everyMs: 1_000, rowsMax: 100, bytesMax: 1_000_000, logBytesMax: 1_000_000 };

function windowOf(...payloads: string[]): Window {
  const window = new Window(0, 1);
  for (const [index, payload] of payloads.entries()) window.take(message(index + 1, payload), router);
  return window;
}

test('a window is due after its time', () => {
  assert.equal(windowOf('{"a":1}').dueInMs(400, policy), 600);
  assert.equal(windowOf('{"a":1}').dueInMs(4_000, policy), 0);
});
test('a window is full with its rows', () => {
  assert(!windowOf('{"a":1}').isFull({ ...policy, rowsMax: 2 }));
  assert(windowOf('{"a":1}', '{"a":2}').isFull({ ...policy, rowsMax: 2 }));
});
test('a window is full with its bytes: eight a value, and every text once', () => {
  const window = windowOf('{"a":1}', '{"a":2}');
  assert.equal(window.estimatedBytes, 2 * 3 * 8 + 'press'.length);
  assert(window.isFull({ ...policy, bytesMax: window.estimatedBytes }));
  assert(!window.isFull({ ...policy, bytesMax: window.estimatedBytes + 1 }));
  assert.equal(windowOf(`{"a":"${'x'.repeat(500)}"}`).estimatedBytes, 3 * 8 + 'press'.length + 500);
});
