/**
 * A map by text that never changes: an edit gives another one, which shares with the first what the edit did not touch.
 * So a snapshot stays what it is while commits go on, and a commit costs what it changes, with a million files too.
 *
 * 1. Keys are spread by hash over buckets, small maps of about `bucketSize`.
 * 2. An edit copies the list of buckets once, and a bucket when it first changes it.
 * 3. When buckets get too full, there are four times as many: the one step that touches everything.
 *
 * In no particular order, but always in the same one.
 */
import assert from 'node:assert';

const bucketSize = 256;
const growth = 4;

type Buckets<Value> = readonly ReadonlyMap<string, Value>[];

export class PersistentMap<Value> implements ReadonlyMap<string, Value> {
  readonly size: number;
  readonly #buckets: Buckets<Value>;

  private constructor(buckets: Buckets<Value>, size: number) {
    this.#buckets = buckets;
    this.size = size;
  }

  static empty<Value>(): PersistentMap<Value> {
    return new PersistentMap<Value>([new Map()], 0);
  }

  /** What is in this map stays. */
  edit(): MapEdit<Value> {
    return new MapEdit(this.#buckets, this.size, (buckets, size) => new PersistentMap(buckets, size));
  }

  get(key: string): Value | undefined {
    return this.#buckets[bucketOf(key, this.#buckets.length)]?.get(key);
  }

  has(key: string): boolean {
    return this.#buckets[bucketOf(key, this.#buckets.length)]?.has(key) ?? false;
  }

  *entries(): MapIterator<[string, Value]> {
    for (const bucket of this.#buckets) yield* bucket;
  }

  *keys(): MapIterator<string> {
    for (const bucket of this.#buckets) yield* bucket.keys();
  }

  *values(): MapIterator<Value> {
    for (const bucket of this.#buckets) yield* bucket.values();
  }

  [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries();
  }

  forEach(visit: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const bucket of this.#buckets) for (const [key, value] of bucket) visit(value, key, this);
  }
}

/** One use: any number of changes, then `finish`. */
export class MapEdit<Value> {
  #buckets: Map<string, Value>[];
  /** Buckets that are of this edit alone. */
  #owned = new Set<number>();
  #size: number;
  #finish: ((buckets: Buckets<Value>, size: number) => PersistentMap<Value>) | undefined;

  constructor(
    buckets: Buckets<Value>,
    size: number,
    finish: (buckets: Buckets<Value>, size: number) => PersistentMap<Value>,
  ) {
    this.#buckets = [...buckets] as Map<string, Value>[];
    this.#size = size;
    this.#finish = finish;
  }

  set(key: string, value: Value): void {
    if (this.#size >= this.#buckets.length * bucketSize) this.#grow();
    const bucket = this.#own(bucketOf(key, this.#buckets.length));
    if (!bucket.has(key)) this.#size += 1;
    bucket.set(key, value);
  }

  delete(key: string): void {
    const index = bucketOf(key, this.#buckets.length);
    if (!this.#buckets[index]?.has(key)) return;
    this.#own(index).delete(key);
    this.#size -= 1;
  }

  finish(): PersistentMap<Value> {
    assert(this.#finish, 'an edit is finished once');
    const finish = this.#finish;
    this.#finish = undefined;
    return finish(this.#buckets, this.#size);
  }

  #own(index: number): Map<string, Value> {
    let bucket = this.#buckets[index];
    assert(bucket && this.#finish, 'an edit that goes on');
    if (this.#owned.has(index)) return bucket;
    bucket = new Map(bucket);
    this.#buckets[index] = bucket;
    this.#owned.add(index);
    return bucket;
  }

  #grow(): void {
    const count = this.#buckets.length * growth;
    const buckets = Array.from({ length: count }, () => new Map<string, Value>());
    for (const bucket of this.#buckets)
      for (const [key, value] of bucket) buckets[bucketOf(key, count)]?.set(key, value);
    this.#buckets = buckets;
    this.#owned = new Set(buckets.keys());
  }
}

/** FNV-1a; `count` is a power of two. */
function bucketOf(key: string, count: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1)
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return (hash ^ (hash >>> 15)) & (count - 1);
}
