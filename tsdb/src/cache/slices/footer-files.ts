/**
 * Footers of large data files: parsed in memory, the longest unused go first; their bytes as copies beside those of the files,
 * `<key>.footer`. A copy without bytes says that the file has no footer of which a slice could be made.
 *
 * The last 64 KiB of a file are fetched first; where its footer is longer, the rest of it.
 */
import { open, readFile, writeFile } from 'node:fs/promises';
import { systemCodeOf } from '@varve/common/errors.js';
import { replaceFile } from '@varve/common/store/durable-file.js';
import type { ByteRange, Store } from '@varve/common/store/store.js';
import type { DataFile } from '../../delta/snapshot.js';
import type { Gate } from '../../gate.js';
import type { Copies } from '../copies.js';
import { wrongSize } from '../local-files.js';
import { footerLength, parseFooter, tailBytes, type ParquetFooter } from './parquet-footer.js';

const firstBytes = 65_536;
/** Longer ones are those of very many tiny row groups: the file is read whole. */
const footerBytesMax = 16 << 20;
/** Of all that are in memory; what is known of their row groups takes about as much again. */
const memoryBytesMax = 64 << 20;
/** Files without a footer that can be used take no bytes. */
const countMax = 100_000;

interface Known {
  readonly footer: Promise<ParquetFooter | undefined>;
  /** 0 until it is here. */
  bytes: number;
}

export class FooterFiles {
  readonly #store: Store;
  readonly #copies: Copies;
  readonly #requests: Gate;
  /** By key, longest unused first. */
  readonly #known = new Map<string, Known>();
  #bytes = 0;

  constructor(store: Store, copies: Copies, requests: Gate) {
    this.#store = store;
    this.#copies = copies;
    this.#requests = requests;
  }

  /** Undefined: the file can only be read whole. @throws as `Store.get`, and Failure `object_corrupt` */
  async of(file: DataFile): Promise<ParquetFooter | undefined> {
    const known = this.#known.get(file.key) ?? { footer: this.#parse(file), bytes: 0 };
    this.#known.delete(file.key);
    this.#known.set(file.key, known);
    try {
      const footer = await known.footer;
      this.#count(file.key, known, footer?.bytes.length ?? 0);
      return footer;
    } catch (error) {
      this.#forget(file.key, known);
      throw error;
    }
  }

  #count(key: string, known: Known, bytes: number): void {
    if (this.#known.get(key) !== known) return;
    this.#bytes += bytes - known.bytes;
    known.bytes = bytes;
    for (const [oldest, other] of this.#known) {
      if (this.#bytes <= memoryBytesMax && this.#known.size <= countMax) return;
      this.#forget(oldest, other);
    }
  }

  #forget(key: string, known: Known): void {
    if (this.#known.get(key) !== known) return;
    this.#known.delete(key);
    this.#bytes -= known.bytes;
  }

  async #parse(file: DataFile): Promise<ParquetFooter | undefined> {
    return parseFooter(await this.#bytesOf(file), file.bytes, file);
  }

  async #bytesOf(file: DataFile): Promise<Uint8Array> {
    const local = this.#store.localPath(file.key);
    if (local !== undefined) return await readFooter(file, (range) => readPart(local, range));
    const whole = await this.#bytesOfCopy(file);
    if (whole) return whole;
    const copy = this.#copies.lease(footerName(file.key), undefined, async (path) => {
      const bytes = await readFooter(file, (range) =>
        this.#requests.run(() => this.#store.get(file.key, range)),
      );
      await replaceFile(path, (partPath) => writeFile(partPath, bytes));
      return bytes.length;
    });
    try {
      await copy.arrival;
      return await readFile(this.#copies.pathOf(copy.key));
    } finally {
      this.#copies.release([copy]);
    }
  }

  /** Where the whole file lies here, unless it has just gone. */
  async #bytesOfCopy(file: DataFile): Promise<Uint8Array | undefined> {
    if (!this.#copies.has(file.key)) return undefined;
    try {
      return await readFooter(file, (range) => readPart(this.#copies.pathOf(file.key), range));
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

function footerName(key: string): string {
  return `${key}.footer`;
}

/** Without bytes where there is none. */
async function readFooter(
  file: DataFile,
  read: (range: ByteRange) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const readAll = async (range: ByteRange) => {
    const bytes = await read(range);
    if (bytes.length < range.end - range.start) throw wrongSize(file, range.start + bytes.length);
    return bytes;
  };
  const start = Math.max(0, file.bytes - firstBytes);
  const tail = await readAll({ start, end: file.bytes });
  const length = footerLength(tail) ?? Infinity;
  const footerStart = file.bytes - tailBytes - length;
  if (length > footerBytesMax || footerStart < 0) return new Uint8Array();
  if (footerStart >= start) return tail.subarray(footerStart - start, -tailBytes);
  const before = await readAll({ start: footerStart, end: start });
  return Buffer.concat([before, tail.subarray(0, -tailBytes)]);
}

async function readPart(path: string, { start, end }: ByteRange): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const bytes = new Uint8Array(end - start);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
