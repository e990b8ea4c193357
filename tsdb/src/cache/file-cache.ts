/**
 * Local copies of data files, below `<data_dir>/cache`, under the same names as in the store.
 *
 * 1. Whoever needs files leases them: a leased copy stays where it is.
 * 2. A copy that is not there is downloaded, once for everybody who asks meanwhile, and its size compared with what the
 *    table says. `Store.download` makes files appear whole, so that a file in the folder is a whole one.
 * 3. When copies need more than `bytesMax`, those longest unused go. One query may need more than that: it gets it, and
 *    the excess goes when its lease ends.
 *
 * The folder may be deleted at any time (DESIGN I12): `forgetMissing` is for whoever then misses a file. Where the store's files lie on this machine, they are used as
 * they are and nothing is copied.
 */
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure, messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { Gauge, type Registry } from '@varve/common/metrics.js';
import { requireStoreKey } from '@varve/common/store/store-key.js';
import type { Store } from '@varve/common/store/store.js';
import type { AcquiredFiles, DataFiles } from '../delta/data-files.js';
import type { DataFile } from '../delta/snapshot.js';
import { Gate } from '../gate.js';
import { findCopies } from './find-copies.js';
import { LocalFiles, wrongSize } from './local-files.js';
import { planEviction } from './plan-eviction.js';

export interface FileCacheOptions {
  readonly store: Store;
  readonly folder: string;
  readonly bytesMax: number;
  readonly log: Logger;
  readonly registry: Registry;
}

interface Copy {
  readonly key: string;
  readonly bytes: number;
  leases: number;
  /** Once it has arrived. */
  isHere: boolean;
  /** Settles when the file is there. */
  readonly arrival: Promise<void>;
}

/** More do not fill a link faster, and each holds a socket and a file. */
const downloadsMax = 16;

export class FileCache implements DataFiles {
  readonly #store: Store;
  readonly #folder: string;
  readonly #bytesMax: number;
  readonly #log: Logger;
  readonly #localFiles: LocalFiles;
  readonly #downloads = new Gate(downloadsMax);
  /** In order of their last use, oldest first. */
  readonly #copies = new Map<string, Copy>();
  /** Files on their way out: a new copy of the same key waits for that. */
  readonly #removals = new Map<string, Promise<void>>();
  #bytes = 0;

  private constructor({ store, folder, bytesMax, log }: FileCacheOptions) {
    this.#store = store;
    this.#folder = folder;
    this.#bytesMax = bytesMax;
    this.#log = log;
    this.#localFiles = new LocalFiles(store);
  }

  /** Takes up the copies that an earlier run left, and removes its unfinished ones. */
  static async open(options: FileCacheOptions): Promise<FileCache> {
    const cache = new FileCache(options);
    new Gauge({
      name: 'varve_tsdb_cache_bytes',
      help: 'Bytes of local copies of data files',
      registers: [options.registry],
      collect() {
        this.set(cache.status.bytes);
      },
    });
    for (const { key, bytes } of await findCopies(options.folder))
      cache.#add({ key, bytes, leases: 0, isHere: true, arrival: Promise.resolve() });
    cache.#evict();
    return cache;
  }

  get status(): { files: number; bytes: number; bytesMax: number } {
    return { files: this.#copies.size, bytes: this.#bytes, bytesMax: this.#bytesMax };
  }

  async acquire(files: readonly DataFile[]): Promise<AcquiredFiles> {
    if (!this.#localFiles.holds(files)) await this.#forgetMissing(files.map(({ key }) => key));
    return await this.acquireUnseen(files);
  }

  async acquireUnseen(files: readonly DataFile[]): Promise<AcquiredFiles> {
    if (this.#localFiles.holds(files)) return await this.#localFiles.acquire(files);
    const copies = files.map((file) => this.#lease(file));
    const release = () => this.#release(copies);
    try {
      await Promise.all(copies.map(({ arrival }) => arrival));
    } catch (error) {
      release();
      throw error;
    }
    return { paths: new Map(files.map(({ path, key }) => [path, this.#pathOf(key)])), release };
  }

  absent(files: readonly DataFile[]): readonly DataFile[] {
    return this.#localFiles.holds(files) ? [] : files.filter(({ key }) => !this.#copies.has(key));
  }

  async forgetMissing(): Promise<void> {
    await this.#forgetMissing([...this.#copies.keys()]);
  }

  async #forgetMissing(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const copy = this.#copies.get(key);
      if (copy?.isHere !== true) continue;
      const isThere = await stat(this.#pathOf(key)).then(
        () => true,
        () => false,
      );
      if (!isThere) this.#forget(copy);
    }
  }

  async adopt(key: string, localPath: string): Promise<void> {
    if (this.#store.localPath(key) !== undefined || this.#copies.has(key)) {
      await rm(localPath, { force: true });
      return;
    }
    const { size } = await stat(localPath);
    const copy = { key, bytes: size, leases: 1, isHere: false, arrival: this.#takeOver(key, localPath) };
    this.#add(copy);
    await this.#settle(copy);
  }

  #lease(file: DataFile): Copy {
    const known = this.#copies.get(file.key);
    // Another size: the folder belonged to another store, or somebody wrote into it.
    if (known && known.bytes !== file.bytes && known.leases === 0) this.#remove(known);
    const copy = this.#copies.get(file.key) ?? this.#startDownload(file);
    copy.leases += 1;
    this.#copies.delete(copy.key);
    this.#copies.set(copy.key, copy);
    return copy;
  }

  #release(copies: readonly Copy[]): void {
    for (const copy of copies) copy.leases -= 1;
    this.#evict();
  }

  #startDownload(file: DataFile): Copy {
    const copy: Copy = {
      key: file.key,
      bytes: file.bytes,
      // The download itself holds the first lease.
      leases: 1,
      isHere: false,
      // Never before the next microtask, when `copy` is there and its lease taken.
      arrival: this.#downloads.run(() => this.#download(copy, file)),
    };
    this.#add(copy);
    this.#evict();
    // Whoever leased the copy gets the error from `arrival`.
    void this.#settle(copy).catch(() => undefined);
    return copy;
  }

  async #download(copy: Copy, file: DataFile): Promise<void> {
    const isWanted = copy.leases > 1;
    if (!isWanted) throw new Failure('stopping', `nobody needs ${file.key} any more`);
    const path = this.#pathOf(requireStoreKey(file.key));
    await this.#removals.get(file.key);
    await mkdir(dirname(path), { recursive: true });
    const bytes = await this.#store.download(file.key, path);
    if (bytes === file.bytes) return;
    await rm(path, { force: true });
    throw wrongSize(file, bytes);
  }

  async #takeOver(key: string, localPath: string): Promise<void> {
    const path = this.#pathOf(requireStoreKey(key));
    await this.#removals.get(key);
    await mkdir(dirname(path), { recursive: true });
    await rename(localPath, path);
  }

  /** Ends the lease that the arrival itself held; a copy that did not arrive is forgotten. */
  async #settle(copy: Copy): Promise<void> {
    try {
      await copy.arrival;
      copy.isHere = true;
    } catch (error) {
      this.#forget(copy);
      throw error;
    } finally {
      this.#release([copy]);
    }
  }

  #evict(): void {
    for (const key of planEviction(this.#copies.values(), this.#bytes, this.#bytesMax)) {
      const copy = this.#copies.get(key);
      if (copy) this.#remove(copy);
    }
  }

  #remove(copy: Copy): void {
    this.#forget(copy);
    const removal = rm(this.#pathOf(copy.key), { force: true })
      .catch((error: unknown) =>
        this.#log.warn({ key: copy.key, reason: messageOf(error) }, 'a cached file cannot be removed'),
      )
      .finally(() => this.#removals.delete(copy.key));
    this.#removals.set(copy.key, removal);
  }

  #add(copy: Copy): void {
    this.#copies.set(copy.key, copy);
    this.#bytes += copy.bytes;
  }

  #forget(copy: Copy): void {
    if (this.#copies.get(copy.key) !== copy) return;
    this.#copies.delete(copy.key);
    this.#bytes -= copy.bytes;
  }

  #pathOf(key: string): string {
    return join(this.#folder, key);
  }
}
