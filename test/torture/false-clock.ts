/** A wall clock that can be moved under a running program, by libfaketime where it is installed. Monotonic time is true. */
import { existsSync, writeFileSync } from 'node:fs';
import { arch } from 'node:os';

const libraryFolders = [
  `/usr/lib/${arch() === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime`,
  '/usr/lib/faketime',
  '/usr/lib64/faketime',
  '/usr/local/lib/faketime',
];

/** Its form for programs with threads. */
function findLibrary(): string | undefined {
  return libraryFolders.map((folder) => `${folder}/libfaketimeMT.so.1`).find((path) => existsSync(path));
}

export function whyNoFalseClock(): string | undefined {
  return findLibrary() === undefined
    ? 'libfaketime is not installed (Debian: apt-get install faketime)'
    : undefined;
}

export class FalseClock {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.set(0);
  }

  /** For the process that shall have this clock. */
  get env(): Record<string, string> {
    const library = findLibrary();
    if (library === undefined) return {};
    return {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#path,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DISABLE_SHM: '1',
      NO_FAKE_STAT: '1',
    };
  }

  /** From now on it is so many seconds ahead of the true one, or behind it. */
  set(seconds: number): void {
    writeFileSync(this.#path, `${seconds < 0 ? '-' : '+'}${Math.abs(Math.round(seconds))}\n`);
  }
}
