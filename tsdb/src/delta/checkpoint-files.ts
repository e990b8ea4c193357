/**
 * Checkpoints on this machine, and the DuckDB that reads and writes them: they are Parquet. A checkpoint that the store does
 * not have here is downloaded and deleted after use. Memory is bounded by DuckDB's; what does not fit spills beside.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Store } from '@varve/common/store/store.js';
import { DuckDb, type Session } from './duckdb.js';
import type { Checkpoint } from './log-listing.js';

const memoryBytesMax = 256 * 2 ** 20;
const spillBytesMax = 20 * 2 ** 30;

export class CheckpointFiles {
  readonly #store: Store;
  readonly #folder: string;
  readonly #duckDb: DuckDb;

  /** `folder` is of this object alone; it is made when it is needed. */
  constructor(store: Store, folder: string) {
    this.#store = store;
    this.#folder = folder;
    this.#duckDb = new DuckDb({
      tempDir: join(folder, 'spill'),
      memoryBytesMax,
      tempBytesMax: spillBytesMax,
      // Two could not write a checkpoint of a million files within that memory.
      threads: 1,
    });
  }

  /** Work on local copies of the checkpoint's parts; none when there is no checkpoint. @throws Failure `object_missing` */
  async withSession<Result>(
    checkpoint: Checkpoint | undefined,
    work: (session: Session, paths: readonly string[]) => Promise<Result>,
  ): Promise<Result> {
    const copies: string[] = [];
    try {
      const paths: string[] = [];
      for (const key of checkpoint?.keys ?? []) {
        const localPath = this.#store.localPath(key);
        const path = localPath ?? (await this.newPath());
        paths.push(path);
        if (localPath !== undefined) continue;
        copies.push(path);
        await this.#store.download(key, path);
      }
      return await this.#duckDb.withSession((session) => work(session, paths));
    } finally {
      await this.remove(copies);
    }
  }

  async newPath(): Promise<string> {
    await mkdir(this.#folder, { recursive: true });
    return join(this.#folder, randomUUID());
  }

  async remove(paths: readonly string[]): Promise<void> {
    for (const path of paths) await rm(path, { force: true });
  }

  async close(): Promise<void> {
    await this.#duckDb.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
