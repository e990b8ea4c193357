/** What the outbox asks of its folder; the simulation has a disk of its own. */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { systemCodeOf } from '@varve/common/errors.js';
import { fileFailure } from '@varve/common/store/file-failure.js';

export interface OutboxFiles {
  /** The names of the files in `directory`, which is made if it is not there. */
  list(directory: string): Promise<string[]>;
  /** Undefined where there is no such file. @throws Failure of the disk */
  sizeOf(path: string): Promise<number | undefined>;
  /** A file that is not there is no error. */
  remove(path: string): Promise<void>;
}

export const outboxFiles: OutboxFiles = {
  async list(directory) {
    await mkdir(directory, { recursive: true });
    return await readdir(directory);
  },

  async sizeOf(path) {
    try {
      return (await stat(path)).size;
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return undefined;
      throw fileFailure(error, `look at ${path}`);
    }
  },

  remove: (path) => rm(path, { force: true }),
};
