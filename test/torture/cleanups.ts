/** What must be undone at the end of a run, in the reverse order of its doing. */
import type { Owner } from '../processes.js';

export class Cleanups implements Owner {
  readonly #cleanups: (() => Promise<void>)[] = [];
  readonly #onFailed: (error: unknown) => void;

  constructor(onFailed: (error: unknown) => void) {
    this.#onFailed = onFailed;
  }

  after(clean: () => Promise<void>): void {
    this.#cleanups.push(clean);
  }

  async run(): Promise<void> {
    for (let clean = this.#cleanups.pop(); clean !== undefined; clean = this.#cleanups.pop())
      await clean().catch(this.#onFailed);
  }
}
