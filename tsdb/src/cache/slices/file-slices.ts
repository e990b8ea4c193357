/**
 * Parts of large data files in place of the whole: where a query wants few row groups or columns of a file that is not here, only
 * they are fetched, and become a small Parquet file of their own, a slice, which DuckDB reads as it would read the file.
 *
 *     <folder>/<key>.<hash of what was chosen>.slice
 *
 * 1. The file's footer (`footer-files.ts`) says what its row groups can hold and where their columns lie.
 * 2. What is wanted of it is fetched in few ranges at once (`plan-slice.ts`), each written where it belongs; then the new footer.
 * 3. A slice is a copy like any other: leased, bounded, with a checksum, forgotten when it is longest unused.
 *
 * The whole file is fetched where it is small or its footer does not allow a slice, and where a slice, together with those
 * fetched of it before, would be more than half of it: who asks ever other things of a file pays for it at most one and a half times.
 */
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { Failure, systemCodeOf } from '@varve/common/errors.js';
import { replaceFile } from '@varve/common/store/durable-file.js';
import type { ByteRange, Store } from '@varve/common/store/store.js';
import type { ReadEstimate, Wanted } from '../../delta/data-files.js';
import type { DataFile } from '../../delta/snapshot.js';
import type { Gate } from '../../gate.js';
import type { Copies, Copy } from '../copies.js';
import { wrongSize } from '../local-files.js';
import { FooterFiles } from './footer-files.js';
import type { ParquetFooter } from './parquet-footer.js';
import {
  chooseParts,
  cutPages,
  planSlice,
  type SliceChoice,
  type SliceLimits,
  type SlicePlan,
} from './plan-slice.js';
import { sliceFooter } from './slice-footer.js';

export interface SliceOptions extends SliceLimits {
  /** Smaller files are fetched whole: one request, where a slice takes two or more, one after the other. */
  readonly fileBytesMin?: number;
  /** Of a file's bytes, what is fetched of it in slices before all of it is. */
  readonly shareMax?: number;
}

const defaultFileBytesMin = 8 << 20;
const defaultShareMax = 0.5;
/** Files of which it is known how much was fetched. */
const fetchedMax = 100_000;

/** The name of a slice that is here or can be made; `nothing` where no row matters. */
export type Part =
  | 'whole'
  | 'nothing'
  | { readonly name: string; readonly footer: ParquetFooter; readonly choice: SliceChoice };

export class FileSlices {
  readonly #store: Store;
  readonly #copies: Copies;
  readonly #requests: Gate;
  readonly #footers: FooterFiles;
  readonly #fileBytesMin: number;
  readonly #shareMax: number;
  readonly #limits: SliceLimits;
  /** Bytes of slices by the file's key, since it was last fetched as a whole. */
  readonly #fetched = new Map<string, number>();

  constructor(store: Store, copies: Copies, requests: Gate, options: SliceOptions = {}) {
    this.#store = store;
    this.#copies = copies;
    this.#requests = requests;
    this.#footers = new FooterFiles(store, copies, requests);
    this.#fileBytesMin = options.fileBytesMin ?? defaultFileBytesMin;
    this.#shareMax = options.shareMax ?? defaultShareMax;
    this.#limits = options;
  }

  /** Whether it is worth a look at the footer. */
  mayCut({ bytes, key }: DataFile): boolean {
    return bytes >= this.#fileBytesMin && !this.#copies.has(key);
  }

  /** @throws as `Store.get`, and Failure `object_corrupt` */
  async choose(file: DataFile, wanted: Wanted): Promise<Part> {
    const footer = await this.#footers.of(file);
    const choice = footer && chooseParts(footer, wanted, file.day);
    return choice ? this.#partOf(file, footer, choice) : 'whole';
  }

  #partOf(file: DataFile, footer: ParquetFooter, choice: SliceChoice): Part {
    if (choice.rowGroups.length === 0) return 'nothing';
    const name = sliceName(file.key, choice);
    if (this.#copies.has(name)) return { name, footer, choice };
    const { bytesFetched } = planSlice(footer, choice, this.#limits);
    const bytes = bytesFetched + (this.#fetched.get(file.key) ?? 0);
    return bytes > file.bytes * this.#shareMax ? 'whole' : { name, footer, choice };
  }

  /** The file is fetched as a whole: if that goes again, slices of it cost as little as before. */
  forgetFetched({ key }: DataFile): void {
    this.#fetched.delete(key);
  }

  lease(file: DataFile, { name, footer, choice }: Exclude<Part, string>): Copy {
    return this.#copies.lease(name, undefined, async (path, isWanted) => {
      const plan = planSlice(footer, choice, this.#limits);
      this.#countFetched(file.key, plan.bytesFetched);
      const end = sliceFooter(footer, plan);
      await replaceFile(path, (partPath) => this.#write(file, plan, end, partPath, isWanted));
      return plan.pagesEnd + end.length;
    });
  }

  /** What would be read of it, and fetched; of a file that lies here as a whole too. Never throws. */
  async estimate(file: DataFile, wanted: Wanted | undefined): Promise<ReadEstimate> {
    const isHere = this.#store.localPath(file.key) !== undefined || this.#copies.has(file.key);
    const whole = {
      bytes: file.bytes,
      storeRequests: isHere ? 0 : 1,
      storeBytes: isHere ? 0 : file.bytes,
    };
    if (!wanted || file.bytes < this.#fileBytesMin) return whole;
    try {
      const footer = await this.#footers.of(file);
      const choice = footer && chooseParts(footer, wanted, file.day);
      if (!choice) return whole;
      const { ranges, bytesFetched: bytes } = planSlice(footer, choice, this.#limits);
      const part = isHere ? 'whole' : this.#partOf(file, footer, choice);
      if (part === 'whole') return { ...whole, bytes };
      return part === 'nothing' || this.#copies.has(part.name)
        ? { bytes, storeRequests: 0, storeBytes: 0 }
        : { bytes, storeRequests: ranges.length, storeBytes: bytes };
    } catch (error) {
      // Whoever reads the file says so.
      if (error instanceof Failure || systemCodeOf(error) !== undefined) return whole;
      throw error;
    }
  }

  #countFetched(key: string, bytes: number): void {
    if (this.#fetched.size >= fetchedMax) this.#fetched.clear();
    this.#fetched.set(key, bytes + (this.#fetched.get(key) ?? 0));
  }

  async #write(
    file: DataFile,
    plan: SlicePlan,
    end: Uint8Array,
    path: string,
    isWanted: () => boolean,
  ): Promise<void> {
    const out = await open(path, 'wx');
    const failures: unknown[] = [];
    const copy = async (range: ByteRange) => {
      if (!isWanted()) throw new Failure('stopping', `nobody needs parts of ${file.key} any more`);
      const bytes = await this.#store.get(file.key, range);
      if (bytes.length < range.end - range.start) throw wrongSize(file, range.start + bytes.length);
      for (const part of cutPages(range, bytes, plan.pages)) await writeAt(out, part.bytes, part.at);
    };
    const copyInTurn = (range: ByteRange) =>
      this.#requests
        .run(async () => {
          if (failures.length === 0) await copy(range);
        })
        .catch((error: unknown) => failures.push(error));
    try {
      await writeAt(out, Buffer.from('PAR1'), 0);
      await writeAt(out, end, plan.pagesEnd);
      // The file stays open until the last of them has ended.
      await Promise.all(plan.ranges.map(copyInTurn));
      if (failures.length > 0) throw failures[0];
    } finally {
      await out.close();
    }
  }
}

function sliceName(key: string, { rowGroups, columns }: SliceChoice): string {
  const hash = createHash('sha256').update(JSON.stringify([rowGroups, columns]));
  return `${key}.${hash.digest('hex').slice(0, 24)}.slice`;
}

async function writeAt(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}
