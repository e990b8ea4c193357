/**
 * A store in memory, for tests: the folder's and S3's twin, with faults that tests plant.
 *
 * `faults.before` throws for a request that never arrived, `faults.after` for an answer that was lost after the effect.
 * Without faults every operation takes effect at one instant.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { systemClock, type Clock } from '../clock.js';
import { Failure } from '../errors.js';
import { assertRange } from './byte-range.js';
import { replaceFile } from './durable-file.js';
import { compareKeys, requireStoreKey } from './store-key.js';
import type { ByteRange, ListOptions, ObjectBody, ObjectInfo, Store } from './store.js';

export type StoreOperation = 'put' | 'putIfAbsent' | 'get' | 'download' | 'head' | 'list' | 'delete';

/** Called with each key, `list` with its prefix. May be changed while the store is in use. */
export interface PlantedFaults {
  before?: ((operation: StoreOperation, key: string) => void | Promise<void>) | undefined;
  after?: ((operation: StoreOperation, key: string) => void | Promise<void>) | undefined;
  /** A broken store: `putIfAbsent` overwrites and answers `created`. */
  overwritesExisting?: boolean;
}

export interface MemoryStoreOptions {
  readonly faults?: PlantedFaults;
  readonly clock?: Clock;
}

interface StoredObject {
  readonly bytes: Uint8Array;
  readonly modifiedMs: number;
}

export class MemoryStore implements Store {
  readonly url = 'memory';
  readonly faults: PlantedFaults;
  readonly #clock: Clock;
  readonly #objects = new Map<string, StoredObject>();

  constructor({ faults = {}, clock = systemClock }: MemoryStoreOptions = {}) {
    this.faults = faults;
    this.#clock = clock;
  }

  async put(key: string, body: ObjectBody): Promise<void> {
    const bytes = await copyOf(body);
    await this.#run('put', key, () => this.#set(key, bytes));
  }

  async putIfAbsent(key: string, body: ObjectBody): Promise<'created' | 'exists'> {
    const bytes = await copyOf(body);
    return await this.#run('putIfAbsent', key, () => {
      if (this.#objects.has(key) && !this.faults.overwritesExisting) return 'exists';
      this.#set(key, bytes);
      return 'created';
    });
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array> {
    if (range) assertRange(range);
    return await this.#run('get', key, () => this.#require(key).bytes.slice(range?.start, range?.end));
  }

  async download(key: string, path: string): Promise<number> {
    const { bytes } = await this.#run('download', key, () => this.#require(key));
    await replaceFile(path, (partPath) => writeFile(partPath, bytes));
    return bytes.length;
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    return await this.#run('head', key, () => {
      const object = this.#objects.get(key);
      return object && toInfo(key, object);
    });
  }

  async *list(prefix: string, { startAfter = '' }: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    await this.faults.before?.('list', prefix);
    const infos = [...this.#objects].map(([key, object]) => toInfo(key, object));
    yield* infos
      .filter(({ key }) => key.startsWith(prefix) && compareKeys(key, startAfter) > 0)
      .sort((left, right) => compareKeys(left.key, right.key));
    await this.faults.after?.('list', prefix);
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.#run('delete', key, () => this.#objects.delete(key));
  }

  localPath(): undefined {
    return undefined;
  }

  close(): void {
    // Nothing is held open.
  }

  async #run<T>(operation: StoreOperation, key: string, effect: () => T): Promise<T> {
    requireStoreKey(key);
    await this.faults.before?.(operation, key);
    const result = effect();
    await this.faults.after?.(operation, key);
    return result;
  }

  #set(key: string, bytes: Uint8Array): void {
    this.#objects.set(key, { bytes, modifiedMs: this.#clock.nowMs() });
  }

  #require(key: string): StoredObject {
    const object = this.#objects.get(key);
    if (object) return object;
    throw new Failure('object_missing', `there is no object ${key} in ${this.url}`);
  }
}

async function copyOf(body: ObjectBody): Promise<Uint8Array> {
  return body instanceof Uint8Array ? body.slice() : await readFile(body.path);
}

function toInfo(key: string, { bytes, modifiedMs }: StoredObject): ObjectInfo {
  return { key, bytes: bytes.length, modifiedMs };
}
