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

  constructor(store: Store) {
    this.#store = store;
  }

  holds(files: readonly DataFile[]): boolean {
    return files.every(({ key }) => this.#store.localPath(key) !== undefined);
  }

  /** @throws Failure `object_missing`, `object_corrupt` */
  async acquire(files: readonly DataFile[]): Promise<AcquiredFiles> {
    const unknown = files.filter(({ key }) => !this.#known.has(key));
    await Promise.all(unknown.map((file) => this.#looks.run(() => this.#look(file))));
    const paths = new Map(files.map(({ path, key }) => [path, this.#store.localPath(key) ?? '']));
    return { paths, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), release: () => undefined };
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
