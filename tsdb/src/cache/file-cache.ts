/**
 * Local copies of data files, below `<data_dir>/cache`, under the same names as in the store (`copies.ts` has their rules).
 *
 * A copy that is not there is downloaded, and its size compared with what the table says. `Store.download` makes files
 * appear whole. Of large files of which little is wanted only that is fetched (`slices/file-slices.ts`).
 *
 * The folder may be deleted at any time (DESIGN I12): `forgetMissing` is for whoever then misses a file. Where the store's
 * files lie on this machine, they are used as they are and nothing is copied.
 */
import { rm } from 'node:fs/promises';
import { setImmediate as nextLoop } from 'node:timers/promises';
import { Failure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { Counter, Gauge, type Registry } from '@varve/common/metrics.js';
import { requireStoreKey } from '@varve/common/store/store-key.js';
import type { Store } from '@varve/common/store/store.js';
import type { AcquiredFiles, DataFiles, ReadEstimate, Wanted } from '../delta/data-files.js';
import type { DataFile } from '../delta/snapshot.js';
import { Gate } from '../gate.js';
import { Copies, type Copy } from './copies.js';
import { LocalFiles, wrongSize } from './local-files.js';
import { FileSlices, type SliceOptions } from './slices/file-slices.js';

export interface FileCacheOptions {
  readonly store: Store;
  readonly folder: string;
  readonly bytesMax: number;
  readonly log: Logger;
  readonly registry: Registry;
  readonly slices?: SliceOptions;
}

/** More do not fill a link faster, and each holds a socket and a file. */
const downloadsMax = 16;
/** As many footers as can be fetched at once. */
const estimatedAtOnce = downloadsMax;

export class FileCache implements DataFiles {
  readonly #store: Store;
  readonly #copies: Copies;
  readonly #localFiles: LocalFiles;
  readonly #downloads = new Gate(downloadsMax);
  readonly #slices: FileSlices;

  private constructor(store: Store, copies: Copies, slices: SliceOptions | undefined) {
    this.#store = store;
    this.#copies = copies;
    this.#localFiles = new LocalFiles(store);
    this.#slices = new FileSlices(store, copies, this.#downloads, slices);
  }

  /** Takes up the copies that an earlier run left, and removes its unfinished ones. */
  static async open({
    store,
    folder,
    bytesMax,
    log,
    registry,
    slices,
  }: FileCacheOptions): Promise<FileCache> {
    const damaged = new Counter({
      name: 'varve_tsdb_cache_damaged_total',
      help: 'Local copies that were not what they should be, and were fetched again',
      registers: [registry],
    });
    const copies = await Copies.open({ folder, bytesMax, log, onDamage: () => damaged.inc() });
    new Gauge({
      name: 'varve_tsdb_cache_bytes',
      help: 'Bytes of local copies of data files',
      registers: [registry],
      collect() {
        this.set(copies.status.bytes);
      },
    });
    return new FileCache(store, copies, slices);
  }

  get status(): { files: number; bytes: number; bytesMax: number } {
    return this.#copies.status;
  }

  async acquire(files: readonly DataFile[]): Promise<AcquiredFiles> {
    if (!this.#localFiles.holds(files)) await this.#copies.forgetMissing(files.map(({ key }) => key));
    return await this.acquireUnseen(files, undefined);
  }

  acquireUnseen(
    files: readonly DataFile[],
    wanted: Wanted | undefined,
  ): AcquiredFiles | Promise<AcquiredFiles> {
    return this.#localFiles.holds(files)
      ? this.#localFiles.acquire(files)
      : this.#acquireCopies(files, wanted);
  }

  async #acquireCopies(files: readonly DataFile[], wanted: Wanted | undefined): Promise<AcquiredFiles> {
    const large = wanted ? files.filter((file) => this.#slices.mayCut(file)) : [];
    const isLarge = new Set(large);
    // Small ones are on their way while the others' footers are looked at.
    const held = files.flatMap((file) => (isLarge.has(file) ? [] : [[file, this.#lease(file)] as const]));
    const release = () => this.#copies.release(held.map(([, copy]) => copy));
    try {
      if (wanted && large.length > 0) held.push(...(await this.#leaseParts(large, wanted)));
      await Promise.all(held.map(([, { arrival }]) => arrival));
    } catch (error) {
      release();
      throw error;
    }
    const paths = new Map(held.map(([{ path }, { key }]) => [path, this.#copies.pathOf(key)]));
    return { paths, bytes: held.reduce((sum, [, { bytes }]) => sum + bytes, 0), release };
  }

  async estimate(
    files: readonly DataFile[],
    wanted: Wanted | undefined,
    bytesMax = Number.POSITIVE_INFINITY,
  ): Promise<ReadEstimate> {
    let all = { bytes: 0, storeRequests: 0, storeBytes: 0 };
    for (let start = 0; start < files.length && all.bytes <= bytesMax; start += estimatedAtOnce) {
      // A large file takes a millisecond.
      if (start > 0) await nextLoop();
      const some = files.slice(start, start + estimatedAtOnce);
      for (const one of await Promise.all(some.map((file) => this.#slices.estimate(file, wanted))))
        all = {
          bytes: all.bytes + one.bytes,
          storeRequests: all.storeRequests + one.storeRequests,
          storeBytes: all.storeBytes + one.storeBytes,
        };
    }
    return all;
  }

  async forgetMissing(): Promise<void> {
    await this.#copies.forgetMissing();
  }

  async adopt(key: string, localPath: string): Promise<void> {
    if (this.#store.localPath(key) === undefined && !this.#copies.has(key))
      await this.#copies.adopt(requireStoreKey(key), localPath);
    else await rm(localPath, { force: true });
  }

  doubt(key: string): void {
    this.#copies.doubt((name) => name === key || name.startsWith(`${key}.`));
  }

  /** Waits for what is being written of it. Safe to call twice. */
  async close(): Promise<void> {
    await this.#copies.close();
  }

  /** Without those of which nothing is wanted. */
  async #leaseParts(files: readonly DataFile[], wanted: Wanted): Promise<(readonly [DataFile, Copy])[]> {
    const parts = await Promise.all(files.map((file) => this.#slices.choose(file, wanted)));
    return files.flatMap((file, index) => {
      const part = parts[index] ?? 'whole';
      if (part === 'nothing') return [];
      return [[file, part === 'whole' ? this.#lease(file) : this.#slices.lease(file, part)] as const];
    });
  }

  #lease(file: DataFile): Copy {
    return this.#copies.lease(file.key, file.bytes, (path, isWanted) =>
      this.#downloads.run(() => this.#download(file, path, isWanted)),
    );
  }

  async #download(file: DataFile, path: string, isWanted: () => boolean): Promise<number> {
    if (!isWanted()) throw new Failure('stopping', `nobody needs ${file.key} any more`);
    const bytes = await this.#store.download(requireStoreKey(file.key), path);
    this.#slices.forgetFetched(file);
    if (bytes === file.bytes) return bytes;
    await rm(path, { force: true });
    throw wrongSize(file, bytes);
  }
}
