/**
 * How a block lies in SQLite: as it is, or deflated where that is a third shorter – JSON of one plant is a fifth of its
 * size deflated, and a card lives on what is not written to it – and with a checksum, since neither SQLite nor deflate would
 * notice a byte that a card has changed.
 *
 *     byte     2 = the block follows; 3 = the block follows deflated (RFC 1951)
 *     4 bytes  CRC-32 (as in zlib), little-endian, of `<first seq>/<message count>/<source>` in UTF-8 and of what follows
 *     bytes    the block
 *
 * Before there was a checksum, first byte and block only: 0 = as it is, 1 = deflated. For ever readable.
 */
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import { Failure } from '@varve/common/errors.js';
import type { NewBlock } from './edge-log.js';

/** The other columns of a block's row: the checksum holds them, too. */
export interface BlockPlace {
  readonly firstSeq: number;
  readonly messageCount: number;
  readonly source: string;
}

const uncheckedPlain = 0;
const uncheckedDeflated = 1;
const plain = 2;
const deflated = 3;
const headerBytes = 5;
/** Smaller blocks share a page of SQLite anyway. */
const worthwhileBytesMin = 512;
/** A block is at most what a source may hold; more is damage, or a bomb. */
const inflatedBytesMax = 600_000_000;

export function packBlock(block: Uint8Array, place: BlockPlace): Uint8Array {
  if (block.length >= worthwhileBytesMin) {
    // Level 1: a third of the time of level 6 for a tenth more bytes.
    const short = deflateRawSync(block, { level: 1 });
    if (short.length < (block.length * 2) / 3) return checked(deflated, short, place);
  }
  return checked(plain, block, place);
}

/** Rows of blocks whose messages are numbered from `firstSeq` on. */
export function packBlocks(
  blocks: readonly NewBlock[],
  firstSeq: number,
): (BlockPlace & { bytes: Uint8Array })[] {
  let seq = firstSeq;
  return blocks.map(({ source, messageCount, bytes }) => {
    const place = { firstSeq: seq, messageCount, source };
    seq += messageCount;
    return { ...place, bytes: packBlock(bytes, place) };
  });
}

/** Whether a checksum vouches for a packed block, once it has been unpacked. */
export function hasChecksum(packed: Uint8Array): boolean {
  return packed[0] === plain || packed[0] === deflated;
}

/** @throws Failure `log_corrupt` */
export function unpackBlock(packed: Uint8Array, place: BlockPlace): Uint8Array<ArrayBuffer> {
  const [way] = packed;
  if (way === uncheckedPlain) return new Uint8Array(packed.subarray(1));
  if (way === uncheckedDeflated) return inflate(packed.subarray(1));
  if (way === plain) return new Uint8Array(checkedBody(packed, place));
  if (way === deflated) return inflate(checkedBody(packed, place));
  throw new Failure('log_corrupt', `a block of the log is packed in unknown way ${way ?? 'nothing'}`);
}

function inflate(body: Uint8Array): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(inflateRawSync(body, { maxOutputLength: inflatedBytesMax }));
  } catch (cause) {
    throw new Failure('log_corrupt', 'a block of the log cannot be inflated', { cause });
  }
}

function checkedBody(packed: Uint8Array, place: BlockPlace): Uint8Array {
  const body = packed.subarray(headerBytes);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (packed.length < headerBytes || view.getUint32(1, true) !== checksum(body, place))
    throw new Failure('log_corrupt', 'the checksum of a block of the log is wrong');
  return body;
}

function checked(first: number, body: Uint8Array, place: BlockPlace): Uint8Array {
  const bytes = new Uint8Array(headerBytes + body.length);
  bytes[0] = first;
  new DataView(bytes.buffer).setUint32(1, checksum(body, place), true);
  bytes.set(body, headerBytes);
  return bytes;
}

function checksum(body: Uint8Array, { firstSeq, messageCount, source }: BlockPlace): number {
  return crc32(body, crc32(`${firstSeq}/${messageCount}/${source}`));
}
