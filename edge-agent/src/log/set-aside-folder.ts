/**
 * `data_dir/set-aside`: what was damaged, as it was found, for whoever wants to look. Nothing reads it again.
 *
 * Bounded: `setAsideBytesMax`, the oldest go first, and what is larger alone is not kept. A disk that has no room for it is no
 * reason to stop either.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const setAsideBytesMax = 64_000_000;

export interface SetAsideFile {
  readonly name: string;
  readonly bytes: number;
  readonly changedMs: number;
}

export class SetAsideFolder {
  readonly path: string;

  constructor(databasePath: string) {
    this.path = join(dirname(databasePath), 'set-aside');
  }

  /** Oldest first. */
  files(): SetAsideFile[] {
    return namesIn(this.path)
      .map((name) => {
        const { size, mtimeMs } = statSync(join(this.path, name));
        return { name, bytes: size, changedMs: mtimeMs };
      })
      .sort((a, b) => a.changedMs - b.changedMs);
  }

  keepBytes(name: string, bytes: Uint8Array): void {
    this.#keep(bytes.length, () => writeFileSync(join(this.path, name), bytes));
  }

  /** The file is gone from where it was, in any case. */
  takeFile(path: string, name: string): void {
    const { size } = statSync(path);
    this.#keep(size, () => renameSync(path, join(this.path, name)));
    rmSync(path, { force: true });
  }

  /** For a disk that needs the room. */
  clear(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  #keep(bytes: number, write: () => void): void {
    if (bytes > setAsideBytesMax) return;
    try {
      mkdirSync(this.path, { recursive: true });
      let total = bytes;
      for (const file of this.files().reverse()) {
        total += file.bytes;
        if (total > setAsideBytesMax) rmSync(join(this.path, file.name), { force: true });
      }
      write();
    } catch {
      // What is damaged is of no use to the agent: it goes on without it.
    }
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
