/**
 * A block: the messages of one group commit as one BLOB, so that SQLite writes one row for many messages.
 *
 * Format, version 1 (all integers LEB128 varints unless said):
 *
 *     byte     1
 *     varint   wall clock of the first message, ms since 1970 UTC
 *     then per message:
 *       varint   arrival minus the previous message's arrival, ms, zigzag (the clock may go back)
 *       varint   packet identifier minus the previous message's, minus 1, zigzag: brokers count them up
 *       varint   topic: 0 = a new one follows, n = the n-th new one of this block
 *       [varint  length, bytes: the topic in UTF-8, where it is new]
 *       varint   length, bytes: the payload
 *
 * A message with an empty topic, which MQTT does not have (§4.7.3), is one that was evicted: it keeps the numbers of those
 * behind it. `evictedMessage` makes it.
 *
 * Never change version 1: files on gateways hold it. A new version is a new first byte.
 */
import { Failure } from '@varve/common/errors.js';
import type { Message } from '../message.js';

const blockVersion = 1;
/** Longest header of a message: five varints of at most 8 bytes. */
const messageHeaderBytesMax = 40;

/** What stays of a message that was dropped from the middle of a block. */
export function evictedMessage({ arrivedMs, packetId }: Message): Message {
  return { topic: '', payload: new Uint8Array(0), arrivedMs, packetId };
}

export function isEvicted({ topic }: Message): boolean {
  return topic === '';
}

/** Collects messages into one buffer; copies each payload at once, so that socket buffers are not held. */
export class BlockBuilder {
  #bytes = new Uint8Array(16_384);
  #length = 0;
  #count = 0;
  #lastArrivedMs = 0;
  #lastPacketId = 0;
  #topicIndexes = new Map<string, number>();

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
    if (this.#count === 0) this.#begin(message.arrivedMs);
    this.#varint(zigzag(message.arrivedMs - this.#lastArrivedMs));
    this.#lastArrivedMs = message.arrivedMs;
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
    this.#length = 0;
    this.#count = 0;
    this.#topicIndexes = new Map();
    return bytes;
  }

  #begin(arrivedMs: number): void {
    this.#bytes[this.#length++] = blockVersion;
    this.#varint(arrivedMs);
    this.#lastArrivedMs = arrivedMs;
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

/**
 * The messages of a block, in order; payloads are views of `bytes`.
 * @throws Failure `log_corrupt` where the bytes are not a whole block
 */
export function* readBlock(bytes: Uint8Array): Generator<Message> {
  const reader = new BlockReader(bytes);
  const version = reader.byte();
  if (version !== blockVersion)
    throw new Failure('log_corrupt', `a block of the log has unknown version ${version}`);
  let arrivedMs = reader.varint();
  let packetId = 0;
  const topics: string[] = [];
  while (!reader.atEnd) {
    arrivedMs += unzigzag(reader.varint());
    packetId += unzigzag(reader.varint()) + 1;
    const topicIndex = reader.varint();
    if (topicIndex === 0) topics.push(Buffer.from(reader.sized()).toString('utf8'));
    const topic = topics[topicIndex === 0 ? topics.length - 1 : topicIndex - 1];
    if (topic === undefined)
      throw new Failure('log_corrupt', 'a block of the log names a topic it does not have');
    yield { topic, arrivedMs, packetId, payload: reader.sized() };
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
