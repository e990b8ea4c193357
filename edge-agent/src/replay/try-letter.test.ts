import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { Router } from '../decode/router.js';
import { streamOf } from '../decode/streams.test.fixture.js';
import { boundedLetter } from '../log/bounded-letter.js';
import type { DeadLetter } from '../log/edge-log.js';
import { tryLetter } from './try-letter.js';

const whole = streamOf({ fields: { a: 'double' } }, 'whole');
const listed = streamOf({ format: { type: 'json', rows: 'data' } }, 'listed');
const payload = '{"a":1,"data":[{"b":1},{"b":2}]}';

const letter = (refusedBy: string[], text = payload): DeadLetter => ({
  ...{ seq: 7, source: 'plant', topic: 'plant/a', payload: Buffer.from(text), arrivedMs: 1, refusedBy },
  ...{ stream: refusedBy[0] ?? null, code: 'not_json', reason: 'r' },
});

const outcomeOf = (...[of, streams = [whole, listed]]: [DeadLetter, (typeof whole)[]?]) => {
  const { readBy, left } = tryLetter(of, new Router(streams));
  return [[...readBy], left && [left.stream, left.code, left.refusedBy]];
};

test('only the streams that refused a message are asked again', () => {
  assert.deepEqual(outcomeOf(letter(['listed'])), [[['listed', 2]], undefined]);
});

test('a message that nobody wanted is shown to all', () => {
  const both = [
    ['whole', 1],
    ['listed', 2],
  ];
  assert.deepEqual(outcomeOf(letter([])), [both, undefined]);
  assert.deepEqual(outcomeOf(letter([]), []), [[], [null, 'no_stream', []]]);
});

test('what one stream reads and another does not is left to the other', () => {
  const text = '{"a":1,"data":3}';
  assert.deepEqual(outcomeOf(letter(['whole', 'listed'], text)), [
    [['whole', 1]],
    ['listed', 'no_rows', ['listed']],
  ]);
});

test('a stream that is not there any more does not hold up the others, and alone it is named', () => {
  assert.deepEqual(outcomeOf(letter(['whole', 'gone'])), [[['whole', 1]], undefined]);
  assert.deepEqual(outcomeOf(letter(['gone'])), [[], ['gone', 'no_stream', ['gone']]]);
});

test('a payload that was cut is not read, though its head could be', () => {
  const long = boundedLetter(letter(['whole'], `{"a":1}${' '.repeat(70_000)}`));
  assert.deepEqual(outcomeOf(long), [[], ['whole', 'payload_cut', ['whole']]]);
  const exact = boundedLetter(letter(['whole'], `{"a":1}${' '.repeat(65_529)}`));
  assert.deepEqual(outcomeOf(exact), [[['whole', 1]], undefined]);
});

test('a message is not read by the streams that refused it the first time', () => {
  const router = new Router([whole, listed]);
  const heard: string[] = [];
  router.listener = {
    onRows: (_, stream) => void heard.push(stream),
    onRefused: () => heard.push('refused'),
  };
  const { seq, source, topic, arrivedMs } = letter([]);
  const place = { seq, source, topic, arrivedMs, arrivedUs: arrivedMs * 1_000 };
  const message = { ...place, payload: Buffer.from(payload), packetId: 1 };
  router.route({ ...message, streams: { notFor: ['listed'] } }, new Map());
  router.route({ ...message, streams: { notFor: 'all' } }, new Map());
  router.route({ ...message, streams: { onlyFor: ['listed'], notFor: ['listed'] } }, new Map());
  assert.deepEqual(heard, ['whole']);
});
