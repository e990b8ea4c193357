/**
 * A store that counts what is asked of it: requests cost money, and bytes time.
 */
import { stat } from 'node:fs/promises';
import { Counter, type Registry } from '@varve/common/metrics.js';
import type { ByteRange, ListOptions, ObjectBody, ObjectInfo, Store } from '@varve/common/store/store.js';

export class CountingStore implements Store {
  readonly #store: Store;
  readonly #requests: Counter;
  readonly #bytes: Counter;

  constructor(store: Store, registry: Registry) {
    this.#store = store;
    this.#requests = new Counter({
      name: 'varve_tsdb_store_requests_total',
      help: 'Calls of the store, failed ones included; a list or a large file may be several requests to S3',
      labelNames: ['op'],
      registers: [registry],
    });
    this.#bytes = new Counter({
      name: 'varve_tsdb_store_bytes_total',
      help: 'Bytes of objects read from and written to the store',
      labelNames: ['op'],
      registers: [registry],
    });
  }

  get url(): string {
    return this.#store.url;
  }

  async put(key: string, body: ObjectBody): Promise<void> {
    this.#requests.inc({ op: 'put' });
    await this.#store.put(key, body);
    this.#bytes.inc({ op: 'put' }, await sizeOf(body));
  }

  async putIfAbsent(key: string, body: ObjectBody): Promise<'created' | 'exists'> {
    this.#requests.inc({ op: 'put_if_absent' });
    const outcome = await this.#store.putIfAbsent(key, body);
    this.#bytes.inc({ op: 'put_if_absent' }, await sizeOf(body));
    return outcome;
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array> {
    this.#requests.inc({ op: 'get' });
    const bytes = await this.#store.get(key, range);
    this.#bytes.inc({ op: 'get' }, bytes.length);
    return bytes;
  }

  async download(key: string, path: string): Promise<number> {
    this.#requests.inc({ op: 'download' });
    const byteCount = await this.#store.download(key, path);
    this.#bytes.inc({ op: 'download' }, byteCount);
    return byteCount;
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    this.#requests.inc({ op: 'head' });
    return await this.#store.head(key);
  }

  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    this.#requests.inc({ op: 'list' });
    return this.#store.list(prefix, options);
  }

  async delete(keys: readonly string[]): Promise<void> {
    this.#requests.inc({ op: 'delete' });
    await this.#store.delete(keys);
  }

  localPath(key: string): string | undefined {
    return this.#store.localPath(key);
  }

  close(): void {
    this.#store.close();
  }
}

async function sizeOf(body: ObjectBody): Promise<number> {
  return body instanceof Uint8Array ? body.length : (await stat(body.path)).size;
}
