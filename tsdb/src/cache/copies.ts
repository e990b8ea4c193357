/**
 * Local files in one folder, bounded, leased by name. What they are copies of is the caller's to know.
 *
 * 1. Whoever needs a copy leases it: it stays where it is. One that is not there is brought, once for everybody who asks
 *    meanwhile.
 * 2. When copies need more than `bytesMax`, those longest unused go. One query may need more than that: it gets it, and the
 *    excess goes when its lease ends.
 * 3. Of every copy that has arrived a checksum is kept (`checksum-index.ts`), taken in the background. A copy of an earlier
 *    run is held against it when it is first leased; one that is damaged is brought again.
 *
 * Not seen is what happens to a copy on the disk after that, until the next start or until somebody who could not read it
 * says so (`doubt`).
 */
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf, systemCodeOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { Gate } from '../gate.js';
import { ChecksumIndex, checksumOf, type IndexEntry } from './checksum-index.js';
import { findCopies } from './find-copies.js';
import { planEviction } from './plan-eviction.js';

/** Makes the file appear at `path`, whole. Not begun where `isWanted` says false: everybody has gone. Returns its bytes. */
export type Bring = (path: string, isWanted: () => boolean) => Promise<number>;

export interface Copy {
  /** Below the folder. */
  readonly key: string;
  readonly bytes: number;
  readonly leases: number;
  /** Settles when the file is there and is what it should be. */
  readonly arrival: Promise<void>;
}

interface OwnCopy {
  readonly key: string;
  bytes: number;
  leases: number;
  /** Once its file is there. */
  isHere: boolean;
  /** Undefined: of an earlier run, and not looked at yet. */
  arrival: Promise<void> | undefined;
  crc32: string | undefined;
}

export interface CopiesOptions {
  readonly folder: string;
  readonly bytesMax: number;
  readonly log: Logger;
  /** Called for each copy that was not what it should be. */
  readonly onDamage: () => void;
}

/** Checks of an earlier run's copies, and checksums of new ones: each reads a file. */
const readsMax = 4;

export class Copies {
  readonly #options: CopiesOptions;
  readonly #index: ChecksumIndex;
  readonly #reads = new Gate(readsMax);
  /** In order of their last use, oldest first. */
  readonly #copies = new Map<string, OwnCopy>();
  /** Files on their way out: a new copy of the same name waits for that. */
  readonly #removals = new Map<string, Promise<void>>();
  /** Checksums that are being taken. */
  readonly #sums = new Set<Promise<void>>();
  #bytes = 0;

  private constructor(options: CopiesOptions) {
    this.#options = options;
    this.#index = new ChecksumIndex(options.folder);
  }

  /** Takes up the copies that an earlier run left, and removes its unfinished ones. */
  static async open(options: CopiesOptions): Promise<Copies> {
    const copies = new Copies(options);
    const found = await findCopies(options.folder, await copies.#index.read());
    for (const { name, bytes, crc32 } of found)
      copies.#add({ key: name, bytes, crc32, leases: 0, isHere: true, arrival: undefined });
    copies.#evict();
    await copies.#index.rewrite(copies.#entries());
    return copies;
  }

  get status(): { files: number; bytes: number; bytesMax: number } {
    return { files: this.#copies.size, bytes: this.#bytes, bytesMax: this.#options.bytesMax };
  }

  has(name: string): boolean {
    return this.#copies.has(name);
  }

  pathOf(name: string): string {
    return join(this.#options.folder, name);
  }

  /** @param bytes what it must have; undefined where only `bring` will know */
  lease(name: string, bytes: number | undefined, bring: Bring): Copy {
    const known = this.#copies.get(name);
    // Another size: the folder belonged to another store, or somebody wrote into it.
    if (known && bytes !== undefined && known.bytes !== bytes && known.leases === 0) this.#remove(known);
    const copy = this.#copies.get(name) ?? this.#newCopy(name, bytes ?? 0);
    copy.leases += 1;
    this.#copies.delete(name);
    this.#copies.set(name, copy);
    copy.arrival ??= this.#await(copy, bring);
    // Whoever leased the copy gets the error when it waits, which may be later.
    copy.arrival.catch(() => undefined);
    return copy as Copy;
  }

  release(copies: readonly Copy[]): void {
    for (const copy of copies as readonly OwnCopy[]) copy.leases -= 1;
    this.#evict();
  }

  /** Moves a file here that is what a copy would be. */
  async adopt(name: string, localPath: string): Promise<void> {
    const copy = this.#newCopy(name, (await stat(localPath)).size);
    const takeOver = async (path: string) => {
      await rename(localPath, path);
      return copy.bytes;
    };
    await (copy.arrival = this.#await(copy, takeOver));
  }

  /** Forgets copies whose files somebody has deleted: of these names, or all. */
  async forgetMissing(names: Iterable<string> = [...this.#copies.keys()]): Promise<void> {
    for (const name of names) {
      const copy = this.#copies.get(name);
      if (copy?.isHere !== true) continue;
      const isThere = await stat(this.pathOf(name)).then(
        () => true,
        () => false,
      );
      if (!isThere) this.#forget(copy);
    }
  }

  /** Somebody could not read them: they are held against their checksums when they are leased the next time. */
  doubt(isDoubtful: (name: string) => boolean): void {
    for (const copy of this.#copies.values())
      if (copy.crc32 !== undefined && isDoubtful(copy.key)) copy.arrival = undefined;
  }

  /** Waits for checksums that are being taken. */
  async close(): Promise<void> {
    await Promise.all(this.#sums);
  }

  #newCopy(name: string, bytes: number): OwnCopy {
    const copy = { key: name, bytes, leases: 0, isHere: false, arrival: undefined, crc32: undefined };
    this.#add(copy);
    return copy;
  }

  /** Holds a lease of its own until the file is there; a copy that did not arrive is forgotten. */
  async #await(copy: OwnCopy, bring: Bring): Promise<void> {
    copy.leases += 1;
    this.#evict();
    try {
      // Never before the next microtask, when whoever asked has its lease.
      await this.#removals.get(copy.key);
      if (copy.crc32 === undefined || !(await this.#isWhole(copy))) await this.#bring(copy, bring);
      copy.isHere = true;
    } catch (error) {
      this.#forget(copy);
      throw error;
    } finally {
      this.release([copy as Copy]);
    }
  }

  async #bring(copy: OwnCopy, bring: Bring): Promise<void> {
    const path = this.pathOf(copy.key);
    await mkdir(dirname(path), { recursive: true });
    copy.crc32 = undefined;
    copy.isHere = false;
    const bytes = await bring(path, () => copy.leases > 1);
    if (this.#copies.get(copy.key) === copy) this.#bytes += bytes - copy.bytes;
    copy.bytes = bytes;
    const sum = this.#takeChecksum(copy).finally(() => this.#sums.delete(sum));
    this.#sums.add(sum);
  }

  async #isWhole(copy: OwnCopy): Promise<boolean> {
    const { log, onDamage } = this.#options;
    const sum = await this.#reads.run(() => checksumUnlessGone(this.pathOf(copy.key)));
    if (sum === copy.crc32) return true;
    log.warn({ file: copy.key }, 'a cached file is damaged or gone, and is fetched again');
    onDamage();
    return false;
  }

  async #takeChecksum(copy: OwnCopy): Promise<void> {
    const { log } = this.#options;
    try {
      const sum = await this.#reads.run(() => checksumUnlessGone(this.pathOf(copy.key)));
      // Another file may have its name by now.
      if (sum === undefined || this.#copies.get(copy.key) !== copy) return;
      copy.crc32 = sum;
      await this.#index.add({ name: copy.key, bytes: copy.bytes, crc32: sum }, () => this.#entries());
    } catch (error) {
      log.warn({ file: copy.key, reason: messageOf(error) }, 'no checksum can be kept of a cached file');
    }
  }

  #entries(): IndexEntry[] {
    return [...this.#copies.values()].flatMap(({ key, bytes, crc32 }) =>
      crc32 === undefined ? [] : [{ name: key, bytes, crc32 }],
    );
  }

  #evict(): void {
    for (const key of planEviction(this.#copies.values(), this.#bytes, this.#options.bytesMax)) {
      const copy = this.#copies.get(key);
      if (copy) this.#remove(copy);
    }
  }

  #remove(copy: OwnCopy): void {
    this.#forget(copy);
    const removal = rm(this.pathOf(copy.key), { force: true })
      .catch((error: unknown) =>
        this.#options.log.warn(
          { key: copy.key, reason: messageOf(error) },
          'a cached file cannot be removed',
        ),
      )
      .finally(() => this.#removals.delete(copy.key));
    this.#removals.set(copy.key, removal);
  }

  #add(copy: OwnCopy): void {
    this.#copies.set(copy.key, copy);
    this.#bytes += copy.bytes;
  }

  #forget(copy: OwnCopy): void {
    if (this.#copies.get(copy.key) !== copy) return;
    this.#copies.delete(copy.key);
    this.#bytes -= copy.bytes;
  }
}

async function checksumUnlessGone(path: string): Promise<string | undefined> {
  try {
    return await checksumOf(path);
  } catch (error) {
    // Evicted meanwhile, or deleted by hand. EIO: the disk itself says that it is damaged.
    if (['ENOENT', 'EIO'].includes(systemCodeOf(error) ?? '')) return undefined;
    throw error;
  }
}
