/**
 * A store in a local directory: an object is a file, its key is its path below the root.
 *
 * A put runs in these steps; a process killed between any two of them leaves the object whole or absent:
 *
 * 1. Write the bytes to `<root>/.tmp/<uuid>` and fsync.
 * 2. The commit point: `link` it to its name, which fails when the name is taken (`put`: `rename`, which replaces).
 * 3. Fsync the directory, and what leads to it where this process has not yet done so. Also when the object exists:
 *    whoever created it may have been killed before this step, and our caller relies on it now.
 * 4. Remove the temporary name.
 *
 * `delete` also removes the directories that it empties. A put that just made one of them finds it gone at step 2 and
 * makes it again. Deletions are not fsynced: after a power cut a deleted object may be back.
 *
 * The directory of temporary names tells a store from the empty folder that a mount leaves when it goes: where it is gone,
 * the store cannot be reached. Nothing is missing then, and nothing is made anew, but by a program that starts.
 *
 * Needs a file system with hard links: ext4, XFS, btrfs, ZFS, APFS, NFS; not FAT or exFAT.
 */
import { randomUUID } from 'node:crypto';
import { constants, copyFile, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { systemClock, type Clock } from '../clock.js';
import { Failure, systemCodeOf } from '../errors.js';
import { assertRange } from './byte-range.js';
import { replaceFile, syncDirectory, writeNewFile } from './durable-file.js';
import { fileFailure } from './file-failure.js';
import { listFolder, readInfo, unlessMissing } from './folder-list.js';
import {
  linkName,
  removeIfEmpty,
  removeLeftovers,
  removeObjectFile,
  requireNoDirectory,
} from './folder-names.js';
import { requireStoreKey, temporaryDirectoryName } from './store-key.js';
import type { ByteRange, ListOptions, ObjectBody, ObjectInfo, Store } from './store.js';

/** Temporary files older than this belong to processes that were killed. */
const leftoverAgeMs = 3_600_000;
/** Each further attempt needs another deletion in the very moment between our `mkdir` and our `link`. */
const placeAttemptsMax = 20;
/** Bounds the memory of long runs over many days of partitions. */
const syncedDirectoriesMax = 10_000;

type PlaceName = (temporaryPath: string, path: string) => Promise<void>;

export interface FolderStoreOptions {
  readonly clock?: Clock;
  /** False where this process has had the store before: a folder that is gone then is not made anew. Absent: true. */
  readonly mayCreate?: boolean;
}

export class FolderStore implements Store {
  readonly url: string;
  readonly #root: string;
  readonly #temporaryDirectory: string;
  /** Directories whose own names are durable. */
  readonly #syncedDirectories = new Set<string>();

  private constructor(root: string) {
    this.url = root;
    this.#root = root;
    this.#temporaryDirectory = join(root, temporaryDirectoryName);
  }

  /** Creates the directory if need be and may be, and removes what killed processes left in it. */
  static async open(
    path: string,
    { clock = systemClock, mayCreate = true }: FolderStoreOptions = {},
  ): Promise<FolderStore> {
    const store = new FolderStore(resolve(path));
    await attempt(`open the store at ${store.url}`, async () => {
      if (mayCreate) await mkdir(store.#temporaryDirectory, { recursive: true });
      else await store.#requireThere();
      await syncDirectory(dirname(store.#root));
      await removeLeftovers(store.#temporaryDirectory, clock.nowMs() - leftoverAgeMs);
    });
    return store;
  }

  async put(key: string, body: ObjectBody): Promise<void> {
    await this.#write(key, body, rename);
  }

  async putIfAbsent(key: string, body: ObjectBody): Promise<'created' | 'exists'> {
    return await this.#write(key, body, linkName);
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array> {
    const path = this.localPath(key);
    if (range) assertRange(range);
    return await attempt(`read ${path}`, async () => {
      const bytes = await unlessMissing(readPart(path, range));
      return bytes ?? (await this.#throwMissing(key));
    });
  }

  async download(key: string, path: string): Promise<number> {
    const source = this.localPath(key);
    return await attempt(`copy ${source} to ${path}`, async () => {
      const info = (await readInfo(this.#root, key)) ?? (await this.#throwMissing(key));
      await replaceFile(path, (partPath) => copyFile(source, partPath, constants.COPYFILE_FICLONE));
      return info.bytes;
    });
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const path = this.localPath(key);
    return await attempt(`look at ${path}`, async () => {
      const info = await readInfo(this.#root, key);
      if (!info) await this.#requireThere();
      return info;
    });
  }

  async *list(prefix: string, options?: ListOptions): AsyncGenerator<ObjectInfo> {
    let isEmpty = true;
    try {
      for await (const info of listFolder(this.#root, prefix, options)) {
        isEmpty = false;
        yield info;
      }
      if (isEmpty) await this.#requireThere();
    } catch (error) {
      throw fileFailure(error, `list ${this.url} below "${prefix}"`);
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const path = this.localPath(key);
      await attempt(`delete ${path}`, () => this.#remove(path));
    }
  }

  localPath(key: string): string {
    return join(this.#root, requireStoreKey(key));
  }

  close(): void {
    // Nothing is held open between calls.
  }

  async #write(key: string, body: ObjectBody, placeName: PlaceName): Promise<'created' | 'exists'> {
    const path = this.localPath(key);
    const temporaryPath = join(this.#temporaryDirectory, randomUUID());
    return await attempt(`write ${path}`, async () => {
      await this.#requireThere();
      try {
        await writeNewFile(temporaryPath, body);
        const outcome = await this.#place(temporaryPath, path, placeName);
        await this.#syncName(path);
        return outcome;
      } finally {
        await rm(temporaryPath, { force: true });
      }
    });
  }

  async #place(temporaryPath: string, path: string, placeName: PlaceName): Promise<'created' | 'exists'> {
    for (let attemptNumber = 1; ; attemptNumber++) {
      try {
        await placeName(temporaryPath, path);
        return 'created';
      } catch (error) {
        const code = systemCodeOf(error);
        if (code === 'EEXIST') {
          await requireNoDirectory(path);
          return 'exists';
        }
        if (code !== 'ENOENT' || attemptNumber === placeAttemptsMax) throw error;
        await this.#makeDirectory(dirname(path));
      }
    }
  }

  async #makeDirectory(path: string): Promise<void> {
    await this.#requireThere();
    // A directory that is gone may be one that we took for durable.
    this.#syncedDirectories.clear();
    try {
      await mkdir(path, { recursive: true });
    } catch (error) {
      // A deletion removed a parent meanwhile, of which Node also says ENOTDIR: the next attempt comes here again.
      if (!['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')) throw error;
    }
  }

  async #syncName(path: string): Promise<void> {
    let directory = dirname(path);
    await syncDirectory(directory);
    if (this.#syncedDirectories.size > syncedDirectoriesMax) this.#syncedDirectories.clear();
    while (directory !== this.#root && !this.#syncedDirectories.has(directory)) {
      await syncDirectory(dirname(directory));
      this.#syncedDirectories.add(directory);
      directory = dirname(directory);
    }
  }

  async #remove(path: string): Promise<void> {
    await removeObjectFile(path);
    let directory = dirname(path);
    while (directory !== this.#root && (await removeIfEmpty(directory))) directory = dirname(directory);
  }

  async #requireThere(): Promise<void> {
    if (await unlessMissing(stat(this.#temporaryDirectory))) return;
    throw new Failure('store_unavailable', `the folder ${this.url} holds no store any more`, {
      hint: 'mount it again, or bring it back; only a program that starts makes a new store',
    });
  }

  async #throwMissing(key: string): Promise<never> {
    await this.#requireThere();
    throw new Failure('object_missing', `there is no object ${key} in ${this.url}`);
  }
}

async function attempt<T>(doing: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw fileFailure(error, doing);
  }
}

async function readPart(path: string, range: ByteRange | undefined): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    if (!range) return await handle.readFile();
    const { size } = await handle.stat();
    const wanted = new Uint8Array(Math.max(0, Math.min(range.end, size) - range.start));
    const { bytesRead } = await handle.read(wanted, 0, wanted.length, range.start);
    return wanted.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
