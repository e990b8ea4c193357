import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { packBlock, unpackBlock } from './packed-block.js';

const place = { firstSeq: 7, messageCount: 2, source: 'plant' };
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('every way a block was ever packed stays readable: these bytes are on gateways', () => {
  const block = Buffer.from('01e5ede281a034', 'hex');
  assert.equal(hex(unpackBlock(Buffer.from('0001e5ede281a034', 'hex'), place)), hex(block));
  assert.equal(
    hex(unpackBlock(Buffer.from('01637cfaf651e30213c6c1400100', 'hex'), place)),
    hex(block).repeat(20),
  );
  assert.equal(hex(packBlock(block, place)), golden);
  assert.equal(hex(unpackBlock(Buffer.from(golden, 'hex'), place)), hex(block));
});

const golden = '02b308333d01e5ede281a034';

test('a bit flipped anywhere, in the block or in its row, is noticed', () => {
  for (const block of [Buffer.from('a short block'), Buffer.from('a longer block, '.repeat(100))]) {
    const packed = packBlock(block, place);
    for (let bit = 8; bit < packed.length * 8; bit++) {
      const flipped = Uint8Array.from(packed);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.throws(() => unpackBlock(flipped, place), isCorrupt);
    }
    for (const other of [{ firstSeq: 8 }, { messageCount: 3 }, { source: 'plans' }])
      assert.throws(() => unpackBlock(packed, { ...place, ...other }), isCorrupt);
  }
});

const isCorrupt = (error: unknown) => isFailure(error, 'log_corrupt');
