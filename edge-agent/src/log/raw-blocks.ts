/**
 * Blocks found without SQLite: every page of the file and of the write-ahead log that looks like a leaf of a table is taken
 * apart (sqlite.org/fileformat.html#b_tree_pages), whatever the tree above it says. The checksum of a block proves its row.
 *
 * What is found may be old: a page that was freed keeps its bytes until it is used again.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { pageBytes } from './header.js';
import type { PackedRow } from './stored-block.js';
import type { WalPage } from './wal-file.js';

const tableLeaf = 0x0d;
const databaseHeaderBytes = 100;
/** More pages of one value than a block may have are a ring. */
const overflowPagesMax = 200_000;
const readBytes = 256 * pageBytes;

interface Cell {
  /** In the file, or undefined: in the write-ahead log, by index. */
  readonly pageNumber: number | undefined;
  readonly walIndex: number;
  readonly offset: number;
}

export class RawBlocks {
  readonly #file: number | undefined;
  readonly #pageCount: number;
  readonly #wal: readonly WalPage[];
  readonly #newest = new Map<number, Buffer>();
  readonly #cells = new Map<number, Cell[]>();

  constructor(path: string, wal: readonly WalPage[]) {
    this.#wal = wal;
    for (const { pageNumber, page } of wal) this.#newest.set(pageNumber, page);
    this.#file = tryOpen(path);
    this.#pageCount = this.#file === undefined ? 0 : Math.ceil(fstatSync(this.#file).size / pageBytes);
    this.#scan();
  }

  /** First sequences of everything that might be a block, in order. */
  firstSeqs(): number[] {
    return [...this.#cells.keys()].sort((a, b) => a - b);
  }

  /** Every row there is of that number, those of the write-ahead log first, the newest first. */
  *rows(firstSeq: number): Generator<PackedRow> {
    for (const cell of (this.#cells.get(firstSeq) ?? []).toReversed()) {
      const row = this.#readRow(cell);
      if (row) yield row;
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  #scan(): void {
    const chunk = Buffer.alloc(readBytes);
    for (let first = 1; first <= this.#pageCount; first += readBytes / pageBytes) {
      const length = this.#readAt(chunk, (first - 1) * pageBytes);
      for (let at = 0; at + pageBytes <= length; at += pageBytes) {
        const pageNumber = first + at / pageBytes;
        this.#scanPage(chunk.subarray(at, at + pageBytes), pageNumber, -1);
      }
    }
    for (const [index, { page }] of this.#wal.entries()) this.#scanPage(page, undefined, index);
  }

  #scanPage(page: Buffer, pageNumber: number | undefined, walIndex: number): void {
    const number = pageNumber ?? this.#wal[walIndex]?.pageNumber;
    const start = number === 1 ? databaseHeaderBytes : 0;
    if (page[start] !== tableLeaf) return;
    const cellCount = page.readUInt16BE(start + 3);
    for (let index = 0; index < cellCount; index++) {
      const pointer = start + 8 + 2 * index;
      if (pointer + 2 > pageBytes) break;
      const offset = page.readUInt16BE(pointer);
      const firstSeq = this.#seqOf(page, offset);
      if (firstSeq === undefined) continue;
      const cells = this.#cells.get(firstSeq) ?? [];
      cells.push({ pageNumber, walIndex, offset });
      this.#cells.set(firstSeq, cells);
    }
  }

  /** The number of a cell that might be a row of table `blocks`. */
  #seqOf(page: Buffer, offset: number): number | undefined {
    const cell = new Varints(page, offset);
    const payloadBytes = cell.read();
    const firstSeq = cell.read();
    const headerEnd = cell.at + cell.read();
    const types = [cell.read(), cell.read(), cell.read(), cell.read()];
    const isBlock = cell.at === headerEnd && types[0] === 0 && isText(types[2]) && isBlob(types[3]);
    return isBlock && payloadBytes > 0 && Number.isSafeInteger(firstSeq) && firstSeq > 0
      ? firstSeq
      : undefined;
  }

  #readRow({ pageNumber, walIndex, offset }: Cell): PackedRow | undefined {
    const page = pageNumber === undefined ? this.#wal[walIndex]?.page : this.#readPage(pageNumber);
    if (!page) return undefined;
    const cell = new Varints(page, offset);
    const payloadBytes = cell.read();
    const firstSeq = cell.read();
    const payload = this.#readPayload(page, cell.at, payloadBytes);
    if (!payload) return undefined;
    const record = new Varints(payload, 0);
    const headerBytes = record.read();
    record.read();
    const [countType, sourceType, bytesType] = [record.read(), record.read(), record.read()];
    const countBytes = integerBytes[countType];
    if (countBytes === undefined || !isText(sourceType) || !isBlob(bytesType)) return undefined;
    const sourceAt = headerBytes + countBytes;
    const bytesAt = sourceAt + (sourceType - 13) / 2;
    const end = bytesAt + (bytesType - 12) / 2;
    if (end !== payload.length) return undefined;
    const messageCount = countBytes === 0 ? countType - 8 : payload.readUIntBE(headerBytes, countBytes);
    const source = payload.toString('utf8', sourceAt, bytesAt);
    return { firstSeq, messageCount, source, bytes: payload.subarray(bytesAt, end) };
  }

  /** What does not fit on the page goes on in a chain of overflow pages. */
  #readPayload(page: Buffer, at: number, payloadBytes: number): Buffer | undefined {
    if (payloadBytes <= 0 || payloadBytes > overflowPagesMax * pageBytes) return undefined;
    const local = localBytes(payloadBytes);
    if (at + local > pageBytes) return undefined;
    const parts = [page.subarray(at, at + local)];
    let rest = payloadBytes - local;
    let next = rest > 0 && at + local + 4 <= pageBytes ? page.readUInt32BE(at + local) : 0;
    while (rest > 0) {
      const overflow = next > 0 ? this.#readPage(next) : undefined;
      if (!overflow || parts.length > overflowPagesMax) return undefined;
      parts.push(overflow.subarray(4, 4 + Math.min(rest, pageBytes - 4)));
      rest -= pageBytes - 4;
      next = overflow.readUInt32BE(0);
    }
    return Buffer.concat(parts, payloadBytes);
  }

  #readPage(pageNumber: number): Buffer | undefined {
    const newest = this.#newest.get(pageNumber);
    if (newest) return newest;
    if (pageNumber > this.#pageCount) return undefined;
    const page = Buffer.alloc(pageBytes);
    return this.#readAt(page, (pageNumber - 1) * pageBytes) === pageBytes ? page : undefined;
  }

  /** Returns how much was read: none where the disk cannot read it. */
  #readAt(bytes: Buffer, position: number): number {
    if (this.#file === undefined) return 0;
    try {
      return readSync(this.#file, bytes, 0, bytes.length, position);
    } catch {
      return this.#readPages(bytes, position);
    }
  }

  /** Page by page, those that cannot be read as noughts: a card gives up single blocks of it. */
  #readPages(bytes: Buffer, position: number): number {
    if (bytes.length === pageBytes) return 0;
    bytes.fill(0);
    for (let at = 0; at < bytes.length; at += pageBytes)
      this.#readAt(bytes.subarray(at, at + pageBytes), position + at);
    return bytes.length;
  }
}

/** Bytes of an integer by its serial type; 8 and 9 are the constants 0 and 1. */
const integerBytes: Readonly<Record<number, number>> = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 8: 0, 9: 0 };

function isText(type: number | undefined): boolean {
  return type !== undefined && type >= 13 && type % 2 === 1;
}

function isBlob(type: number | undefined): boolean {
  return type !== undefined && type >= 12 && type % 2 === 0;
}

/** Section 1.6, "B-tree Pages", for a leaf of a table. */
function localBytes(payloadBytes: number): number {
  const most = pageBytes - 35;
  if (payloadBytes <= most) return payloadBytes;
  const least = Math.floor(((pageBytes - 12) * 32) / 255) - 23;
  const wanted = least + ((payloadBytes - least) % (pageBytes - 4));
  return wanted <= most ? wanted : least;
}

/** SQLite's own: big-endian, seven bits a byte, eight in the ninth. Beyond the end all is nought. */
class Varints {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  read(): number {
    let value = 0;
    for (let index = 0; index < 9; index++) {
      const byte = this.#bytes[this.at++] ?? 0;
      if (index === 8) return value * 256 + byte;
      value = value * 128 + (byte & 0x7f);
      if (byte < 0x80) break;
    }
    return value;
  }
}

function tryOpen(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}
