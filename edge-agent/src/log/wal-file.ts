/**
 * The write-ahead log, as bytes (sqlite.org/fileformat.html#the_write_ahead_log).
 *
 * SQLite ends it at the first frame whose checksum is wrong, since it cannot tell a torn last transaction from damage in the
 * middle of good ones. Each frame's checksum goes on from the one stored in the frame before, so the frames behind a damaged
 * one can still be proven. `mendWal` writes the log again with checksums that are right: only where the high-water mark shows
 * that more was committed than SQLite would see.
 *
 *     header, 32 bytes: magic, version, page size, checkpoint number, salt 1, salt 2, checksum 1, checksum 2
 *     frame: page number, pages of the database if it ends a transaction else 0, salt 1, salt 2, checksum 1 and 2, page
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import { pageBytes } from './header.js';

const headerBytes = 32;
const frameHeaderBytes = 24;
const frameBytes = frameHeaderBytes + pageBytes;
const magic = 0x377f0682;
const formatVersion = 3_007_000;
/** SQLite keeps it near 4 MB; a larger one is not looked at. */
const walBytesMax = 256_000_000;

export interface WalPage {
  readonly pageNumber: number;
  readonly page: Buffer;
}

interface Frame extends WalPage {
  /** Of the database in pages, where a transaction ends. */
  readonly commitPages: number;
  readonly isSound: boolean;
  readonly offset: number;
}

export interface Wal {
  readonly bytes: Buffer;
  readonly salts: Buffer;
  /** Of this generation, up to the last that ends a transaction, sound or not. */
  readonly frames: readonly Frame[];
  /** SQLite would see less of it. */
  readonly isDoubtful: boolean;
}

/** Undefined where there is none, or nothing in it. */
export function readWal(databasePath: string): Wal | undefined {
  const path = `${databasePath}-wal`;
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size < headerBytes + frameBytes || size > walBytesMax) return undefined;
  return parseWal(readFileSync(path));
}

export function parseWal(bytes: Buffer): Wal {
  const isHeaderSound = isSoundHeader(bytes);
  const wanted = isHeaderSound ? bytes.subarray(16, 24) : newestSalts(bytes);
  const isBigEndian = isHeaderSound && (bytes.readUInt32BE(0) & 1) === 1;
  let before: Checksum = [bytes.readUInt32BE(24), bytes.readUInt32BE(28)];
  let isChainWhole = isHeaderSound;
  let soundCommits = 0;
  const frames: Frame[] = [];
  for (let offset = headerBytes; offset + frameBytes <= bytes.length; offset += frameBytes) {
    const header = bytes.subarray(offset, offset + frameHeaderBytes);
    const page = bytes.subarray(offset + frameHeaderBytes, offset + frameBytes);
    const stored: Checksum = [header.readUInt32BE(16), header.readUInt32BE(20)];
    const isOfThis = wanted.equals(header.subarray(8, 16));
    const isSound =
      isOfThis &&
      isSame(checksum(page, checksum(header.subarray(0, 8), before, isBigEndian), isBigEndian), stored);
    before = stored;
    isChainWhole &&= isSound;
    const pageNumber = header.readUInt32BE(0);
    const commitPages = header.readUInt32BE(4);
    if (!isOfThis || pageNumber === 0) continue;
    frames.push({ pageNumber, commitPages, page, isSound, offset });
    if (isChainWhole && commitPages > 0) soundCommits = frames.length;
  }
  const last = frames.findLastIndex(({ commitPages }) => commitPages > 0) + 1;
  return { bytes, salts: wanted, frames: frames.slice(0, last), isDoubtful: last > soundCommits };
}

/** Each generation writes over the one before from the start: of the first two neighbours that agree. */
function newestSalts(bytes: Buffer): Buffer {
  const saltsAt = (offset: number) => bytes.subarray(offset + 8, offset + 16);
  for (let offset = headerBytes; offset + 2 * frameBytes <= bytes.length; offset += frameBytes)
    if (saltsAt(offset).equals(saltsAt(offset + frameBytes))) return saltsAt(offset);
  return saltsAt(headerBytes);
}

/** The same frames with checksums that are right, in one step: killed on the way, the old file is there. */
export function mendWal(databasePath: string, wal: Wal): void {
  const path = `${databasePath}-wal`;
  const partPath = `${path}.part`;
  const file = openSync(partPath, 'w');
  try {
    const header = Buffer.alloc(headerBytes);
    for (const [index, value] of [magic, formatVersion, pageBytes].entries())
      header.writeUInt32BE(value, index * 4);
    wal.bytes.copy(header, 12, 12, 16);
    wal.salts.copy(header, 16);
    let running = checksum(header.subarray(0, 24), [0, 0], false);
    writeChecksum(header, 24, running);
    writeSync(file, header);
    for (const frame of plausible(wal.frames)) {
      const frameHeader = Buffer.alloc(frameHeaderBytes);
      frameHeader.writeUInt32BE(frame.pageNumber, 0);
      frameHeader.writeUInt32BE(frame.commitPages, 4);
      header.copy(frameHeader, 8, 16, 24);
      running = checksum(frame.page, checksum(frameHeader.subarray(0, 8), running, false), false);
      writeChecksum(frameHeader, 16, running);
      writeSync(file, frameHeader);
      writeSync(file, frame.page);
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(partPath, path);
}

/** Without frames whose own number is damaged. */
function plausible(frames: readonly Frame[]): Frame[] {
  const sound = frames.filter(({ isSound }) => isSound);
  const pages = Math.max(0, ...sound.map(({ commitPages }) => commitPages));
  return frames.filter(
    ({ isSound, pageNumber, commitPages }) => isSound || (pageNumber <= pages && commitPages <= pages),
  );
}

function isSoundHeader(bytes: Buffer): boolean {
  if ((bytes.readUInt32BE(0) & ~1) !== magic || bytes.readUInt32BE(8) !== pageBytes) return false;
  const isBigEndian = (bytes.readUInt32BE(0) & 1) === 1;
  const stored: Checksum = [bytes.readUInt32BE(24), bytes.readUInt32BE(28)];
  return isSame(checksum(bytes.subarray(0, 24), [0, 0], isBigEndian), stored);
}

type Checksum = readonly [number, number];

function isSame(a: Checksum, b: Checksum): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

function writeChecksum(bytes: Buffer, offset: number, [first, second]: Checksum): void {
  bytes.writeUInt32BE(first, offset);
  bytes.writeUInt32BE(second, offset + 4);
}

/** Section 4.2 of the file format: a Fletcher sum over pairs of 32-bit words. */
function checksum(bytes: Buffer, [from0, from1]: Checksum, isBigEndian: boolean): Checksum {
  let s0 = from0 | 0;
  let s1 = from1 | 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; at += 8) {
    s0 = (s0 + view.getUint32(at, !isBigEndian) + s1) | 0;
    s1 = (s1 + view.getUint32(at + 4, !isBigEndian) + s0) | 0;
  }
  return [s0 >>> 0, s1 >>> 0];
}
