/**
 * How a block lies in SQLite: as it is, or deflated where that is a third shorter. JSON of one plant is a fifth of its
 * size deflated, and a card lives on what is not written to it.
 *
 *     byte     0 = the block follows; 1 = the block follows deflated (RFC 1951)
 *
 * Part of version 1 of the edge database.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { Failure } from '@varve/common/errors.js';

const plain = 0;
const deflated = 1;
/** Smaller blocks share a page of SQLite anyway. */
const worthwhileBytesMin = 512;
/** A block is at most what a source may hold; more is damage, or a bomb. */
const inflatedBytesMax = 600_000_000;

export function packBlock(block: Uint8Array): Uint8Array {
  if (block.length >= worthwhileBytesMin) {
    // Level 1: a third of the time of level 6 for a tenth more bytes.
    const short = deflateRawSync(block, { level: 1 });
    if (short.length < (block.length * 2) / 3) return prefixed(deflated, short);
  }
  return prefixed(plain, block);
}

/** @throws Failure `log_corrupt` */
export function unpackBlock(packed: Uint8Array): Uint8Array<ArrayBuffer> {
  const body = packed.subarray(1);
  if (packed[0] === plain) return new Uint8Array(body);
  try {
    if (packed[0] === deflated)
      return new Uint8Array(inflateRawSync(body, { maxOutputLength: inflatedBytesMax }));
  } catch (cause) {
    throw new Failure('log_corrupt', 'a block of the log cannot be inflated', { cause });
  }
  throw new Failure('log_corrupt', `a block of the log is packed in unknown way ${packed[0] ?? 'nothing'}`);
}

function prefixed(first: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 1);
  bytes[0] = first;
  bytes.set(body, 1);
  return bytes;
}
