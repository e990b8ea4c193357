/**
 * Thrift's compact protocol, as Parquet's footer is written in it (thrift/doc/specs/thrift-compact-protocol.md): just enough
 * to find the fields of a struct, and to write one anew in which most fields are the bytes they were.
 *
 * 1. A struct is its fields, then a zero byte. A field is a byte `(id - id before) << 4 | type`, or where that difference is
 *    not 1 to 15 the type alone and then the id, as a zigzag varint; then its value. A boolean field's value is its type.
 * 2. Integers are zigzag varints, binaries have their length before them.
 * 3. A list is `count << 4 | type of its elements`, with 15 and a varint for 15 and more; then its elements. Booleans in it
 *    take a byte.
 *
 * What is no such thing is a `RangeError`. Limits: integers that a double holds, structs nested `depthMax` deep.
 */

export const thrift = {
  true: 1,
  false: 2,
  byte: 3,
  i16: 4,
  i32: 5,
  i64: 6,
  double: 7,
  binary: 8,
  list: 9,
  set: 10,
  map: 11,
  struct: 12,
  uuid: 13,
} as const;

/** A value, as bytes of the buffer: `end` exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Field extends Span {
  readonly type: number;
}

/** By their ids, in the order in which they came. */
export type Fields = ReadonlyMap<number, Field>;

const depthMax = 32;
const fixedLengths: ReadonlyMap<number, number> = new Map([
  [thrift.byte, 1],
  [thrift.double, 8],
  [thrift.uuid, 16],
]);

/** The fields of the struct that begins at `start`. */
export function readStruct(bytes: Uint8Array, start: number): Fields {
  return new CompactReader(bytes, start).fields();
}

export function readInteger(bytes: Uint8Array, { start, type }: Field): number {
  if (type !== thrift.i16 && type !== thrift.i32 && type !== thrift.i64) throw malformed(start);
  const value = new CompactReader(bytes, start).zigzag();
  if (!Number.isSafeInteger(value)) throw malformed(start);
  return value;
}

export function readBinary(bytes: Uint8Array, { start, end, type }: Field): Uint8Array {
  if (type !== thrift.binary) throw malformed(start);
  const reader = new CompactReader(bytes, start);
  reader.varint();
  return bytes.subarray(reader.position, end);
}

/** Where each element of a list lies. @param elementType what they must be */
export function readList(bytes: Uint8Array, { start, type }: Field, elementType: number): Span[] {
  if (type !== thrift.list) throw malformed(start);
  return new CompactReader(bytes, start).elements(elementType);
}

class CompactReader {
  readonly #bytes: Uint8Array;
  position: number;

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.position = start;
  }

  fields(): Fields {
    const fields = new Map<number, Field>();
    let id = 0;
    for (;;) {
      const header = this.#byte();
      if (header === 0) return fields;
      const [delta, type] = [header >> 4, header & 15];
      id = delta === 0 ? this.zigzag() : id + delta;
      const start = this.position;
      this.#skipField(type, 0);
      fields.set(id, { type, start, end: this.position });
    }
  }

  elements(elementType: number): Span[] {
    const { count, type } = this.#listHeader();
    if (type !== elementType && count > 0) throw malformed(this.position);
    const spans: Span[] = [];
    for (let index = 0; index < count; index++) {
      const start = this.position;
      this.#skipElement(type, 0);
      spans.push({ start, end: this.position });
    }
    return spans;
  }

  /** A double is exact up to 2^53; of larger ones only where they end matters. */
  varint(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 70; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw malformed(this.position);
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  #skip(type: number, depth: number): void {
    if (depth > depthMax) throw malformed(this.position);
    // The most frequent first.
    if (type === thrift.i64 || type === thrift.i32 || type === thrift.i16) this.#skipVarint();
    else if (type === thrift.binary) this.#advance(this.varint());
    else if (type === thrift.list || type === thrift.set) this.#skipList(depth + 1);
    else if (type === thrift.struct) this.#skipStruct(depth + 1);
    else if (type === thrift.map) this.#skipMap(depth + 1);
    else if (fixedLengths.has(type)) this.#advance(fixedLengths.get(type) ?? 0);
    else throw malformed(this.position);
  }

  #skipVarint(): void {
    while (this.#byte() >= 128);
  }

  #skipList(depth: number): void {
    const { count, type } = this.#listHeader();
    for (let index = 0; index < count; index++) this.#skipElement(type, depth);
  }

  #skipStruct(depth: number): void {
    for (let header = this.#byte(); header !== 0; header = this.#byte()) {
      if (header < 16) this.#skipVarint();
      this.#skipField(header & 15, depth);
    }
  }

  /** A boolean is in the header. */
  #skipField(type: number, depth: number): void {
    if (type !== thrift.true && type !== thrift.false) this.#skip(type, depth);
  }

  #skipElement(type: number, depth: number): void {
    if (type === thrift.true || type === thrift.false) this.#advance(1);
    else this.#skip(type, depth);
  }

  #skipMap(depth: number): void {
    const count = this.varint();
    if (count === 0) return;
    const types = this.#byte();
    for (let index = 0; index < count; index++) {
      this.#skipElement(types >> 4, depth);
      this.#skipElement(types & 15, depth);
    }
  }

  #listHeader(): { count: number; type: number } {
    const header = this.#byte();
    return { count: header >> 4 === 15 ? this.varint() : header >> 4, type: header & 15 };
  }

  #byte(): number {
    const byte = this.#bytes[this.position];
    if (byte === undefined) throw malformed(this.position);
    this.position += 1;
    return byte;
  }

  #advance(count: number): void {
    this.position += count;
    if (this.position > this.#bytes.length) throw malformed(this.position);
  }
}

function malformed(position: number): RangeError {
  return new RangeError(`no Thrift at byte ${position}`);
}

export class CompactWriter {
  #bytes = new Uint8Array(4_096);
  #length = 0;
  /** Of the last field of each struct that is open. */
  readonly #ids: number[] = [];

  /** What has been written, once all structs are ended. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Of a list's element, or of the whole. */
  beginStruct(): void {
    this.#ids.push(0);
  }

  endStruct(): void {
    this.#ids.pop();
    this.#byte(0);
  }

  integerField(id: number, type: number, value: number): void {
    this.#header(id, type);
    this.#zigzag(value);
  }

  /** A field as it was in `bytes`. */
  copyField(id: number, bytes: Uint8Array, { type, start, end }: Field): void {
    this.#header(id, type);
    this.copy(bytes, { start, end });
  }

  structField(id: number): void {
    this.#header(id, thrift.struct);
    this.beginStruct();
  }

  /** Its elements must follow. */
  listField(id: number, elementType: number, count: number): void {
    this.#header(id, thrift.list);
    if (count < 15) this.#byte((count << 4) | elementType);
    else {
      this.#byte(0xf0 | elementType);
      this.#varint(count);
    }
  }

  copy(bytes: Uint8Array, { start, end }: Span): void {
    this.#reserve(end - start);
    this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length += end - start;
  }

  #header(id: number, type: number): void {
    const delta = id - (this.#ids.at(-1) ?? 0);
    this.#ids[this.#ids.length - 1] = id;
    if (delta > 0 && delta < 16) this.#byte((delta << 4) | type);
    else {
      this.#byte(type);
      this.#zigzag(id);
    }
  }

  #zigzag(value: number): void {
    this.#varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  #varint(value: number): void {
    for (; value >= 128; value = Math.floor(value / 128)) this.#byte((value % 128) | 128);
    this.#byte(value);
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.#length + count));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
