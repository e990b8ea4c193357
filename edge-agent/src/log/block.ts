/**
 * A block: the messages of one group commit as one BLOB, so that SQLite writes one row for many messages.
 *
 * Format, version 2 (all integers LEB128 varints unless said):
 *
 *     byte     2
 *     varint   boot: its number in table `boots`, 0 = none, times two; plus one where its wall clock was trusted
 *     varint   monotonic clock of that boot at the first message, ms
 *     varint   wall clock at the first message, ms since 1970 UTC
 *     then per message:
 *       varint   monotonic clock minus that of the previous message, ms, zigzag
 *       varint   packet identifier minus the previous message's, minus 1, zigzag: brokers count them up
 *       varint   topic: 0 = a new one follows, n = the n-th new one of this block
 *       [varint  length, bytes: the topic in UTF-8, where it is new]
 *       varint   length, bytes: the payload
 *
 * A message with an empty topic, which MQTT does not have (§4.7.3), is one that was evicted: it keeps the numbers of those
 * behind it. `evictedMessage` makes it.
 *
 * Arrival is monotonic time, so a wall clock that is set in the middle of a block changes nothing in it; what `boots.ts` says
 * of the boot turns it into wall time. Version 1 has the wall clock alone: there is no boot and no monotonic clock in its
 * header, and arrivals are differences of the wall clock, which may go back.
 *
 * Rows without a time of their own take the arrival, and two rows of one series at one time would be one row. So messages
 * that follow each other in one millisecond are told apart by microseconds (`arrivedUs`), counted from 0 in the block, and a
 * builder never begins a block in the millisecond that its last one ended in: that message counts as of the next one.
 *
 * Never change a version: files on gateways hold it. A new version is a new first byte.
 */
import { Failure, isFailure } from '@varve/common/errors.js';
import type { BlockMessage, Message } from '../message.js';

const blockVersion = 2;
const wallClockVersion = 1;
/** Longest header of a message: five varints of at most 8 bytes. */
const messageHeaderBytesMax = 40;
/** More than come in a millisecond; if they did, the last of them would share a microsecond. */
const placeInMsMax = 999;

/** The clock that a block's arrival times were read from. */
export interface BlockClock {
  /** Its number in table `boots`; 0 where it is not known. */
  readonly boot: number;
  /** Wall clock minus monotonic clock, whole ms. */
  readonly offsetMs: number;
  readonly isTrusted: boolean;
}

/** Monotonic time is wall time. */
export const unknownClock: BlockClock = { boot: 0, offsetMs: 0, isTrusted: false };

/** What stays of a message that was dropped from the middle of a block. */
export function evictedMessage({ arrivedMs, packetId }: Message): Message {
  return { topic: '', payload: new Uint8Array(0), arrivedMs, packetId };
}

export function isEvicted({ topic }: Message): boolean {
  return topic === '';
}

/** Collects messages into one buffer; copies each payload at once, so that socket buffers are not held. */
export class BlockBuilder {
  readonly #clock: () => BlockClock;
  #bytes = new Uint8Array(16_384);
  #length = 0;
  #count = 0;
  #lastMonotonicMs = 0;
  /** That the last block ended in. */
  #takenMs = -1;
  #lastPacketId = 0;
  #topicIndexes = new Map<string, number>();

  /** `clock` is asked for every message: its `arrivedMs` is that clock's wall time. The first one's stands in the block. */
  constructor(clock: () => BlockClock = () => unknownClock) {
    this.#clock = clock;
  }

  get messageCount(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#length;
  }

  add(message: Message): void {
    const topicIndex = this.#topicIndexes.get(message.topic);
    const topicBytes = topicIndex === undefined ? Buffer.from(message.topic) : undefined;
    this.#reserve(messageHeaderBytesMax + (topicBytes?.length ?? 0) + message.payload.length);
    const clock = this.#clock();
    let monotonicMs = Math.max(0, message.arrivedMs - clock.offsetMs);
    if (monotonicMs === this.#takenMs) monotonicMs++;
    if (this.#count === 0) this.#begin(clock, monotonicMs);
    this.#varint(zigzag(monotonicMs - this.#lastMonotonicMs));
    this.#lastMonotonicMs = monotonicMs;
    this.#varint(zigzag(message.packetId - this.#lastPacketId - 1));
    this.#lastPacketId = message.packetId;
    this.#varint(topicIndex ?? 0);
    if (topicBytes) {
      this.#topicIndexes.set(message.topic, this.#topicIndexes.size + 1);
      this.#sized(topicBytes);
    }
    this.#sized(message.payload);
    this.#count++;
  }

  /** The block's bytes; the builder is empty afterwards and owns none of them. */
  finish(): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes.slice(0, this.#length);
    if (this.#count > 0) this.#takenMs = this.#lastMonotonicMs;
    this.#length = 0;
    this.#count = 0;
    this.#topicIndexes = new Map();
    return bytes;
  }

  #begin({ boot, offsetMs, isTrusted }: BlockClock, monotonicMs: number): void {
    this.#bytes[this.#length++] = blockVersion;
    this.#varint(boot * 2 + (isTrusted ? 1 : 0));
    this.#varint(monotonicMs);
    this.#varint(Math.max(0, monotonicMs + offsetMs));
    this.#lastMonotonicMs = monotonicMs;
    this.#lastPacketId = 0;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes + messageHeaderBytesMax;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  #varint(value: number): void {
    // Division, not shifts: milliseconds since 1970 need more than 32 bits.
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  #sized(bytes: Uint8Array): void {
    this.#varint(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}

interface BlockHeader {
  readonly clock: BlockClock;
  readonly monotonicMs: number;
}

function readHeader(reader: BlockReader): BlockHeader {
  const version = reader.byte();
  if (version === wallClockVersion) return { clock: unknownClock, monotonicMs: reader.varint() };
  if (version !== blockVersion)
    throw new Failure('log_corrupt', `a block of the log has unknown version ${version}`);
  const bootAndTrust = reader.varint();
  const monotonicMs = reader.varint();
  const offsetMs = reader.varint() - monotonicMs;
  return {
    clock: { boot: Math.floor(bootAndTrust / 2), offsetMs, isTrusted: bootAndTrust % 2 === 1 },
    monotonicMs,
  };
}

/** `unknownClock` where the block is damaged, too: whoever needs its messages says so. */
export function readBlockClock(bytes: Uint8Array): BlockClock {
  try {
    return readHeader(new BlockReader(bytes)).clock;
  } catch (error) {
    if (isFailure(error, 'log_corrupt')) return unknownClock;
    throw error;
  }
}

/**
 * The messages of a block, in order; payloads are views of `bytes`. `shiftMs` is added to every arrival.
 * @throws Failure `log_corrupt` where the bytes are not a whole block
 */
export function* readBlock(bytes: Uint8Array, shiftMs = 0): Generator<BlockMessage> {
  const reader = new BlockReader(bytes);
  const { clock, monotonicMs } = readHeader(reader);
  let arrivedMs = monotonicMs + clock.offsetMs + shiftMs;
  let packetId = 0;
  let placeInMs = -1;
  const topics: string[] = [];
  while (!reader.atEnd) {
    const passedMs = unzigzag(reader.varint());
    arrivedMs += passedMs;
    placeInMs = passedMs === 0 ? Math.min(placeInMs + 1, placeInMsMax) : 0;
    packetId += unzigzag(reader.varint()) + 1;
    const topicIndex = reader.varint();
    if (topicIndex === 0) topics.push(Buffer.from(reader.sized()).toString('utf8'));
    const topic = topics[topicIndex === 0 ? topics.length - 1 : topicIndex - 1];
    if (topic === undefined)
      throw new Failure('log_corrupt', 'a block of the log names a topic it does not have');
    const arrivedUs = arrivedMs * 1_000 + placeInMs;
    yield { topic, arrivedMs, arrivedUs, packetId, payload: reader.sized() };
  }
}

class BlockReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Failure('log_corrupt', 'a block of the log ends too early');
    return byte;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 0x80;
    }
    if (!Number.isSafeInteger(value))
      throw new Failure('log_corrupt', 'a block of the log holds an impossible number');
    return value;
  }

  sized(): Uint8Array {
    const length = this.varint();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Failure('log_corrupt', 'a block of the log ends too early');
    const view = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return view;
  }
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
