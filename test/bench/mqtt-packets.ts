/**
 * As much of MQTT's wire format as the benches need: packets made in advance cost a publisher nothing while it is measured.
 */

export const packetTypes = {
  connect: 1,
  puback: 4,
  subscribe: 8,
  pingreq: 12,
} as const;

export type ProtocolLevel = 4 | 5;

export interface PlainMessage {
  readonly topic: string;
  readonly payload: string;
}

/** CONNECT of MQTT 3.1.1 (§3.1) with a clean session and no keepalive. */
export function encodeConnect(clientId: string): Buffer {
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0x02, 0, 0]);
  return encodePacket(0x10, [head, sized(clientId)]);
}

/** PUBLISH at QoS 1; MQTT 5 has a list of properties more (MQTT 5.0 §3.3.2.3). */
export function encodePublish(
  { topic, payload }: PlainMessage,
  packetId: number,
  level: ProtocolLevel,
): Buffer {
  const properties = level === 5 ? [Buffer.from([0])] : [];
  return encodePacket(0x32, [sized(topic), uint16(packetId), ...properties, Buffer.from(payload)]);
}

export function encodePacket(firstByte: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([firstByte, ...varint(body.length)]), body]);
}

export interface Packet {
  readonly type: number;
  readonly body: Buffer;
}

/** Cuts a stream of bytes into packets. */
export class PacketReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The packets that these bytes complete. */
  push(bytes: Buffer): Packet[] {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const packets: Packet[] = [];
    for (;;) {
      const packet = this.#next();
      if (packet === undefined) return packets;
      packets.push(packet);
    }
  }

  #next(): Packet | undefined {
    let length = 0;
    for (let at = 1; at < this.#rest.length; at++) {
      const byte = this.#rest[at] ?? 0;
      length += (byte & 0x7f) * 128 ** (at - 1);
      if (byte >= 0x80) continue;
      const end = at + 1 + length;
      if (end > this.#rest.length) return undefined;
      const packet = { type: (this.#rest[0] ?? 0) >> 4, body: this.#rest.subarray(at + 1, end) };
      this.#rest = this.#rest.subarray(end);
      return packet;
    }
    return undefined;
  }
}

export function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function sized(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint16(bytes.length), bytes]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 0x80, ...varint(Math.floor(value / 128))];
}
