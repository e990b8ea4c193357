/**
 * The store: object storage as both programs need it, with three implementations – a folder, S3, memory – under one
 * conformance suite (`store-conformance.ts`).
 *
 * Promises that hold for all of them:
 *
 * 1. `putIfAbsent` is atomic: of any number of concurrent calls for one key exactly one returns `created`. It is the
 *    only commit point of the system (DESIGN I6), and `openStore` proves it before anything else runs.
 * 2. When a put returns, the object is durable, whole, and visible to `get`, `head` and `list`.
 * 3. Objects appear whole or not at all, whatever is killed meanwhile.
 * 4. `list` yields keys in ascending order of their UTF-8 bytes.
 * 5. What cannot work is a `Failure`: `store_unavailable` (try again), `store_denied` or `store_not_found` (the operator
 *    must mend it), `object_missing`, `disk_full`. A transient failure of a put leaves its outcome unknown.
 */

export interface ObjectInfo {
  readonly key: string;
  readonly bytes: number;
  /** By the store's clock. */
  readonly modifiedMs: number;
}

/** Half open: `start` inclusive, `end` exclusive, both in bytes. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Bytes in memory, or a local file, which is streamed. At most 5 GiB, S3's limit for one request, are taken everywhere;
 * what is more only where the store can put it in parts.
 */
export type ObjectBody = Uint8Array | { readonly path: string };

export interface ListOptions {
  /** Only keys after this one. */
  readonly startAfter?: string;
}

export interface Store {
  /** What it is, for people and logs: a path or `s3://bucket/prefix`, without credentials. */
  readonly url: string;

  /** Creates or replaces. For hints and status only; never for anything that must not be lost. */
  put(key: string, body: ObjectBody): Promise<void>;

  /** Creates the object unless the key is taken: `exists` changes nothing and is an ordinary outcome. */
  putIfAbsent(key: string, body: ObjectBody): Promise<'created' | 'exists'>;

  /** The object's bytes, or that part of them. @throws Failure `object_missing` */
  get(key: string, range?: ByteRange): Promise<Uint8Array>;

  /** Streams the object to a local file, which appears at `path` whole or not at all. Returns its size in bytes. */
  download(key: string, path: string): Promise<number>;

  head(key: string): Promise<ObjectInfo | undefined>;

  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>;

  /** Deletes what exists of these; a key that does not exist is no error. */
  delete(keys: readonly string[]): Promise<void>;

  /**
   * Where the object's bytes lie on this machine, if they do (a folder store): readers may then read, never write, that
   * file instead of downloading a copy. Says nothing about whether the object exists.
   */
  localPath(key: string): string | undefined;

  /** Lets go of sockets and timers. The store must not be used afterwards. */
  close(): void;
}
