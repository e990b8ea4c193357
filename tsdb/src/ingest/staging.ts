/**
 * The local folder of one table's round: downloaded shipments and data files on their way out. Every file has a name of
 * its own, never used twice. Gone when the round ends, and wiped when the program starts.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Failure, isFailure, messageOf } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import { mapBounded } from '../delta/bounded.js';
import type { InboxObject } from './list-inbox.js';
import { stopLanesAt } from './plan-ingest.js';

export interface StagedShipment {
  readonly object: InboxObject;
  readonly path: string;
}

export class Staging {
  readonly #store: Store;
  readonly #folder: string;
  readonly #transfersAtOnceMax: number;
  readonly #pathByKey = new Map<string, string>();

  constructor(store: Store, parentFolder: string, transfersAtOnceMax: number) {
    this.#store = store;
    this.#folder = join(parentFolder, randomUUID());
    this.#transfersAtOnceMax = transfersAtOnceMax;
  }

  async open(): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true });
    } catch (cause) {
      throw new Failure('data_dir_unusable', `could not create ${this.#folder}: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  newPath(): string {
    return join(this.#folder, `${randomUUID()}.parquet`);
  }

  /**
   * Downloads what is not here yet, and keeps the order. A shipment that is gone was dealt with by another tsdb since
   * the listing: it and what follows in its lane are left for the next round.
   */
  async fetch(objects: readonly InboxObject[]): Promise<StagedShipment[]> {
    const paths = new Map<InboxObject, string>();
    const missing = new Set<InboxObject>();
    await mapBounded(objects, this.#transfersAtOnceMax, async (object) => {
      const path = await this.download(object.key);
      if (path === undefined) missing.add(object);
      else paths.set(object, path);
    });
    return stopLanesAt(objects, missing).flatMap((object) => {
      const path = paths.get(object);
      return path === undefined ? [] : { object, path };
    });
  }

  /** Undefined when there is no such object. */
  async download(key: string): Promise<string | undefined> {
    const known = this.#pathByKey.get(key);
    if (known !== undefined) return known;
    const path = this.newPath();
    try {
      await this.#store.download(key, path);
    } catch (error) {
      if (isFailure(error, 'object_missing')) return undefined;
      throw error;
    }
    this.#pathByKey.set(key, path);
    return path;
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Where the rounds have their folders. */
export function stagingFolder(dataDir: string): string {
  return resolve(dataDir, 'staging');
}
