import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFailure } from '@varve/common/errors.js';
import type { BlockMessage, Message } from '../message.js';
import { BlockBuilder, readBlock, readBlockClock, unknownClock } from './block.js';

const message = fc.record({
  topic: fc.oneof(fc.constantFrom('a/b', 'a/c', ''), fc.string({ unit: 'grapheme', maxLength: 300 })),
  payload: fc.uint8Array({ maxLength: 400 }),
  arrivedMs: fc.integer({ min: 0, max: 4_102_444_800_000 }),
  packetId: fc.integer({ min: 0, max: 65_535 }),
}) satisfies fc.Arbitrary<Message>;

function build(messages: readonly Message[]): Uint8Array {
  const builder = new BlockBuilder();
  for (const each of messages) builder.add(each);
  assert.equal(builder.messageCount, messages.length);
  return builder.finish();
}

const plain = ({ topic, arrivedMs, packetId, payload }: Message) => ({
  ...{ topic, arrivedMs, packetId },
  payload: [...payload],
});

test('a block gives back the messages that were put into it, in order, with clocks that go back', () => {
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 60 }), (messages) => {
      assert.deepEqual([...readBlock(build(messages))].map(plain), messages.map(plain));
    }),
  );
});

test('a builder is empty after finishing, and its next block knows no topic of the last', () => {
  const builder = new BlockBuilder();
  const one: Message = { topic: 'plant/a', payload: Buffer.from('1'), arrivedMs: 1_000, packetId: 7 };
  builder.add(one);
  const first = builder.finish();
  assert.equal(builder.messageCount, 0);
  assert.equal(builder.byteLength, 0);
  builder.add({ ...one, arrivedMs: 2_000 });
  assert.equal(builder.finish().length, first.length);
});

test('messages of one millisecond have microseconds of their own, in a block and from one block to the next', () => {
  const builder = new BlockBuilder(() => ({ boot: 1, offsetMs: 500, isTrusted: true }));
  const arrivedUs: number[] = [];
  for (const arrivals of [[1_000, 1_000, 1_001, 1_001], [1_001, 1_001, 1_002, 1_005], [1_005]]) {
    for (const arrivedMs of arrivals)
      builder.add({ topic: 'plant/a', payload: Buffer.from('1'), arrivedMs, packetId: 0 });
    arrivedUs.push(
      ...[...readBlock(builder.finish(), 100)].map((message: BlockMessage) => message.arrivedUs),
    );
  }
  const expected = [
    [1_100_000, 1_100_001, 1_101_000, 1_101_001],
    [1_102_000, 1_102_001, 1_102_002, 1_105_000],
    [1_106_000],
  ];
  assert.deepEqual(arrivedUs, expected.flat());
});

test('a message beside its payload costs four bytes when its topic repeats', () => {
  const one: Message = {
    topic: 'plant/hall-3/press-17/environment',
    payload: Buffer.from('{}'),
    arrivedMs: 1_000,
    packetId: 7,
  };
  assert.equal(build([one, one]).length - build([one]).length, 1 + 1 + 1 + 1 + 2);
});

test('a block that was cut or damaged is a failure, not a crash and not a wrong message count', () => {
  const bytes = build([
    { topic: 'a/b', payload: Buffer.from('hello'), arrivedMs: 1_795_300_046_309, packetId: 7 },
  ]);
  for (let length = 0; length < bytes.length; length++) {
    const cut = bytes.slice(0, length);
    // A cut right behind the header leaves a block of no messages.
    const header = 14;
    if (length === header) continue;
    assert.throws(
      () => [...readBlock(cut)],
      (error) => isFailure(error, 'log_corrupt'),
      `cut to ${length}`,
    );
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      try {
        Array.from(readBlock(noise));
      } catch (error) {
        assert(isFailure(error, 'log_corrupt'));
      }
    }),
    { numRuns: 2_000 },
  );
});

const written: readonly Message[] = [
  { topic: 'a/b', payload: Buffer.from('{}'), arrivedMs: 1_795_300_046_565, packetId: 7 },
  { topic: 'a/b', payload: Buffer.from('1'), arrivedMs: 1_795_300_046_567, packetId: 7 },
];

test('version 1 stays readable: these bytes are on gateways', () => {
  const golden = Buffer.from('01e5ede281a034000c0003612f62027b7d0401010131', 'hex');
  assert.deepEqual([...readBlock(golden)].map(plain), written.map(plain));
  assert.deepEqual(readBlockClock(golden), unknownClock);
});

test('version 2 stays as it is, and is readable: these bytes are on gateways', () => {
  const golden = '0207c0c407e5ede281a034000c0003612f62027b7d0401010131';
  const clock = { boot: 3, offsetMs: 1_795_300_046_565 - 123_456, isTrusted: true };
  const builder = new BlockBuilder(() => clock);
  for (const each of written) builder.add(each);
  assert.equal(Buffer.from(builder.finish()).toString('hex'), golden);
  assert.deepEqual([...readBlock(Buffer.from(golden, 'hex'))].map(plain), written.map(plain));
  assert.deepEqual(readBlockClock(Buffer.from(golden, 'hex')), clock);
});

test('a wall clock that is set in the middle of a block changes no arrival in it', () => {
  let offsetMs = 1_000;
  const builder = new BlockBuilder(() => ({ boot: 1, offsetMs, isTrusted: false }));
  const at = (monotonicMs: number): Message => ({
    ...{ topic: 'a', payload: Buffer.from('1'), packetId: 0 },
    arrivedMs: monotonicMs + offsetMs,
  });
  builder.add(at(500));
  offsetMs = 1_795_300_046_565;
  builder.add(at(510));
  offsetMs = -400;
  builder.add(at(520));
  const bytes = builder.finish();
  const arrivals = (shiftMs?: number) => [...readBlock(bytes, shiftMs)].map(({ arrivedMs }) => arrivedMs);
  assert.deepEqual(arrivals(), [1_500, 1_510, 1_520]);
  assert.deepEqual(arrivals(7), [1_507, 1_517, 1_527]);
});
