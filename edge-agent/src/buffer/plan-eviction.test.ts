import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { BlockBuilder, isEvicted, readBlock } from '../log/block.js';
import type { StoredBlock } from '../log/edge-log.js';
import { olderBlocks, planEviction } from './plan-eviction.js';

/** Topics are streams here; `a` has priority 0, `b` 1, and so on. Each message arrives at its number. */
function block(firstSeq: number, topics: string): StoredBlock {
  const builder = new BlockBuilder();
  for (const [index, topic] of topics.split('').entries())
    builder.add({
      ...{ topic: topic === '.' ? '' : topic, payload: Buffer.from(topic === '.' ? '' : 'xy') },
      ...{ arrivedMs: firstSeq + index, packetId: index + 1 },
    });
  return { firstSeq, messageCount: topics.length, source: 'plant', bytes: builder.finish() };
}

const rankOf = (topic: string) => ({ stream: topic, priority: topic.charCodeAt(0) - 97 });
const show = (bytes: Uint8Array | undefined) =>
  bytes && [...readBlock(bytes)].map((message) => (isEvicted(message) ? '.' : message.topic)).join('');

function plan(blocks: StoredBlock[], priorityMax: number) {
  const { blocks: changes, losses } = planEviction(blocks, {
    rankOf,
    priorityMax,
    whenMs: 9,
    reason: 'full',
  });
  return {
    changes: changes.map(({ firstSeq, bytes }) => [firstSeq, show(bytes)]),
    losses: losses.map(({ stream, count, firstSeq, lastSeq }) => [stream, count, firstSeq, lastSeq]),
  };
}

const cases: [string, string[], number, [number, string | undefined][], unknown[][]][] = [
  ['nothing', [], 0, [], []],
  ['a block of the lowest goes altogether', ['aa'], 0, [[1, undefined]], [['a', 2, 1, 2]]],
  ['a block of a higher one stays as it is', ['bb'], 0, [], []],
  ['what is kept keeps its number', ['abab'], 0, [[1, '.b.b']], [['a', 2, 1, 3]]],
  ['what went before is not counted again', ['.ba'], 0, [[1, '.b.']], [['a', 1, 3, 3]]],
  ['a block of which nothing is left', ['.a'], 0, [[1, undefined]], [['a', 1, 2, 2]]],
  [
    'of the highest everything goes',
    ['ab', 'b'],
    1,
    [
      [1, undefined],
      [3, undefined],
    ],
    [
      ['a', 1, 1, 1],
      ['b', 2, 2, 3],
    ],
  ],
];
for (const [what, texts, priorityMax, changes, losses] of cases)
  test(`evicting: ${what}`, () => {
    let seq = 1;
    const blocks = texts.map((text) => block((seq += text.length) - text.length, text));
    assert.deepEqual(plan(blocks, priorityMax), { changes, losses });
  });

test('a loss says when its messages came and how large they were', () => {
  const [loss] = planEviction([block(5, 'aba')], {
    rankOf,
    priorityMax: 0,
    whenMs: 9,
    reason: 'full',
  }).losses;
  assert.deepEqual(loss, {
    ...{ whenMs: 9, kind: 'evicted', stream: 'a', reason: 'full', firstSeq: 5, lastSeq: 7 },
    ...{ firstMs: 5, lastMs: 7, count: 2, bytes: 6 },
  });
});

test('whatever is dropped, the rest stays where it was, and every message is kept or lost', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[abc.]{1,40}$/), fc.integer({ min: 0, max: 2 }), (text, priorityMax) => {
      const [change] = planEviction([block(1, text)], { rankOf, priorityMax, whenMs: 9, reason: '' }).blocks;
      const expected = Array.from(text)
        .map((one) => (one !== '.' && rankOf(one).priority > priorityMax ? one : '.'))
        .join('');
      if (/^\.*$/.test(expected)) assert.equal(change?.bytes, undefined);
      else assert.equal(change ? show(change.bytes) : text, expected);
    }),
  );
});

test('blocks are old when all of their messages are', () => {
  const blocks = [block(1, 'aa'), block(3, 'aa'), block(5, 'a')];
  const count = (beforeMs: number) => olderBlocks(blocks, beforeMs).length;
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(count), [0, 0, 1, 1, 2, 3]);
});
