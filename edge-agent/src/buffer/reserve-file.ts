/**
 * A few megabytes of the disk held back in `data_dir/reserve`, given up when the disk is full: SQLite needs room to forget
 * what has been shipped, so without it a full disk could never empty itself.
 */
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '@varve/common/store/durable-file.js';
import { fileFailure } from '@varve/common/store/file-failure.js';

export const reserveBytes = 4_000_000;

export class ReserveFile {
  readonly #path: string;
  #isHeld = false;

  constructor(dataDir: string) {
    this.#path = join(dataDir, 'reserve');
  }

  /** Takes the room, if it is there to take. */
  async hold(): Promise<void> {
    if (this.#isHeld) return;
    try {
      if ((await bytesOf(this.#path)) !== reserveBytes) {
        // Not zeros alone: some file systems and cards store those as nothing.
        const filling = Buffer.alloc(reserveBytes, 'varve reserve ');
        await replaceFile(this.#path, (partPath) => writeFile(partPath, filling));
      }
      this.#isHeld = true;
    } catch (error) {
      const failure = fileFailure(error, `write ${this.#path}`);
      if (failure.code !== 'disk_full') throw failure;
    }
  }

  async giveUp(): Promise<void> {
    this.#isHeld = false;
    await rm(this.#path, { force: true });
  }
}

async function bytesOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch {
    return undefined;
  }
}
