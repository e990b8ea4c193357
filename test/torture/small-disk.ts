/**
 * A small disk of its own below a folder: a tmpfs, which root may mount. It can be filled to the last byte and made
 * read-only while programs use it.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import { temporaryFolder } from '../installation.js';
import type { Owner } from '../processes.js';

/** Why not, or undefined where it can be done. */
export function whyNoMounts(owner: Owner): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can mount a small disk';
  try {
    const folder = temporaryFolder(owner);
    mount(['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]);
    execFileSync('umount', [folder], { stdio: 'pipe' });
    return undefined;
  } catch {
    return 'this system lets nobody mount a small disk';
  }
}

function mount(args: readonly string[]): void {
  execFileSync('mount', args, { stdio: 'pipe' });
}

const remountAttemptsMax = 200;
const remountEveryMs = 10;

export class SmallDisk {
  readonly path: string;
  readonly #ballast: string;
  #isMounted = true;

  private constructor(path: string) {
    this.path = path;
    this.#ballast = join(path, 'ballast');
  }

  static mount(owner: Owner, path: string, megabytes: number): SmallDisk {
    mkdirSync(path, { recursive: true });
    mount(['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path]);
    const disk = new SmallDisk(path);
    owner.after(() => {
      disk.unmount();
      return Promise.resolve();
    });
    return disk;
  }

  fill(): void {
    const { bavail, bsize } = statfsSync(this.path);
    try {
      if (bavail > 1)
        execFileSync('fallocate', ['-l', String((bavail - 1) * bsize), this.#ballast], { stdio: 'pipe' });
      for (;;) appendFileSync(this.#ballast, Buffer.alloc(bsize));
    } catch {
      // Full: programs that write at the same moment took the rest.
    }
  }

  empty(): void {
    rmSync(this.#ballast, { force: true });
  }

  /** Waits for a moment in which nobody has a file open for writing. Returns whether there was one. */
  async setReadOnly(isReadOnly: boolean): Promise<boolean> {
    for (let attempt = 0; attempt < remountAttemptsMax; attempt++) {
      try {
        mount(['-o', `remount,${isReadOnly ? 'ro' : 'rw'}`, this.path]);
        return true;
      } catch {
        await systemClock.sleep(remountEveryMs);
      }
    }
    return false;
  }

  /** Leaves what is on it in the folder below. */
  keepContents(): void {
    const aside = `${this.path}.kept`;
    cpSync(this.path, aside, { recursive: true });
    this.unmount();
    rmSync(this.path, { recursive: true, force: true });
    cpSync(aside, this.path, { recursive: true });
    rmSync(aside, { recursive: true, force: true });
  }

  unmount(): void {
    if (!this.#isMounted) return;
    this.#isMounted = false;
    execFileSync('umount', ['--lazy', this.path], { stdio: 'pipe' });
  }
}
