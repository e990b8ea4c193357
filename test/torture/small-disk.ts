/**
 * A small disk of its own below a folder: a tmpfs, which root may mount. It can be filled to the last byte and made
 * read-only while programs use it.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
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
/** What programs may free again between two steps of filling. */
const lastBlocksMax = 1_000;

export class SmallDisk {
  readonly path: string;
  readonly #ballast: string;
  readonly #bytesMax: number;
  #isMounted = true;

  private constructor(path: string, bytesMax: number) {
    this.path = path;
    this.#bytesMax = bytesMax;
    this.#ballast = join(path, 'ballast');
  }

  static mount(owner: Owner, path: string, megabytes: number): SmallDisk {
    mkdirSync(path, { recursive: true });
    mount(['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path]);
    const disk = new SmallDisk(path, megabytes * 1024 ** 2);
    owner.after(() => {
      disk.unmount();
      return Promise.resolve();
    });
    return disk;
  }

  /** @throws where the disk is not there any more: what lies below must never be filled */
  fill(): void {
    const { bavail, blocks, bsize } = statfsSync(this.path);
    if (!this.#isMounted || blocks * bsize > this.#bytesMax)
      throw new Error(`the small disk on ${this.path} is gone: somebody unmounted it`);
    try {
      if (bavail > 1)
        execFileSync('fallocate', ['-l', String((bavail - 1) * bsize), this.#ballast], { stdio: 'pipe' });
      for (let count = 0; count < lastBlocksMax; count++) appendFileSync(this.#ballast, Buffer.alloc(bsize));
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

  /** Also where somebody else did so already. */
  unmount(): void {
    if (!this.#isMounted) return;
    this.#isMounted = false;
    if (statSync(this.path).dev !== statSync(dirname(this.path)).dev)
      execFileSync('umount', ['--lazy', this.path], { stdio: 'pipe' });
  }
}
