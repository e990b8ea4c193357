/**
 * Data files of a store on this machine: used where they lie, after one look at each.
 */
import { stat } from 'node:fs/promises';
import { Failure, systemCodeOf } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import type { AcquiredFiles } from '../delta/data-files.js';
import type { DataFile } from '../delta/snapshot.js';
import { Gate } from '../gate.js';

/** Bounds the memory of what is known; past that, everything is looked at again. */
const knownFilesMax = 1_000_000;
/** Looks at files take one of few threads each. */
const looksMax = 16;

export class LocalFiles {
  readonly #store: Store;
  readonly #looks = new Gate(looksMax);
  /** Keys of files that were there, with the right size. Data files never change; a look costs more than some queries. */
  readonly #known = new Set<string>();
  /** By the very list that was asked for: a plan that comes again asks for the same. */
  readonly #acquired = new WeakMap<readonly DataFile[], AcquiredFiles>();

  constructor(store: Store) {
    this.#store = store;
  }

  holds(files: readonly DataFile[]): boolean {
    return files.every(({ key }) => this.#store.localPath(key) !== undefined);
  }

  /** At once where each was looked at before. @throws Failure `object_missing`, `object_corrupt` */
  acquire(files: readonly DataFile[]): AcquiredFiles | Promise<AcquiredFiles> {
    const acquired = this.#acquired.get(files);
    if (acquired) return acquired;
    const unknown = files.filter(({ key }) => !this.#known.has(key));
    return unknown.length === 0 ? this.#acquire(files) : this.#lookAndAcquire(files, unknown);
  }

  async #lookAndAcquire(files: readonly DataFile[], unknown: readonly DataFile[]): Promise<AcquiredFiles> {
    await Promise.all(unknown.map((file) => this.#looks.run(() => this.#look(file))));
    return this.#acquire(files);
  }

  #acquire(files: readonly DataFile[]): AcquiredFiles {
    const paths = new Map(files.map(({ path, key }) => [path, this.#store.localPath(key) ?? '']));
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const acquired = { paths, bytes, release: () => undefined };
    this.#acquired.set(files, acquired);
    return acquired;
  }

  async #look(file: DataFile): Promise<void> {
    const bytes = await sizeOf(file, this.#store.localPath(file.key) ?? '');
    if (bytes !== file.bytes) throw wrongSize(file, bytes);
    if (this.#known.size >= knownFilesMax) this.#known.clear();
    this.#known.add(file.key);
  }
}

async function sizeOf(file: DataFile, path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    if (systemCodeOf(cause) !== 'ENOENT') throw cause;
    throw new Failure('object_missing', `there is no object ${file.key}, which its table needs`, {
      cause,
      hint: 'restore the object from a backup; queries that do not need it work',
      facts: { key: file.key },
    });
  }
}

export function wrongSize(file: DataFile, bytes: number): Failure {
  return new Failure('object_corrupt', `${file.key} has ${bytes} bytes where its table says ${file.bytes}`, {
    hint: 'restore the object from a backup; queries that do not need it work',
    facts: { key: file.key },
  });
}
