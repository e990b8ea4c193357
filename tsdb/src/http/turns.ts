/**
 * Lets requests in a few at a time, so that the rest of the program gets its turn between them.
 *
 * A loop of the main thread sees all requests that have come meanwhile. Where each is answered at once, from memory, and its client
 * asks again, a loop never ends before all of them are answered: of the rows of a long answer, which come by a batch a
 * loop, 64 such clients left one batch in 80 ms. Now `perLoop` requests are answered in a loop, in the order in which they came.
 * Who is not crowded out never waits.
 *
 * Bound: one entry for each request that Node has taken, by its own bounds on connections.
 */

const perLoop = 4;

export class Turns {
  /** That may still enter in this loop. */
  #left = perLoop;
  #isLooping = false;
  readonly #waiting: (() => void)[] = [];

  /** Calls `enter` now, or in a loop to come. */
  take(enter: () => void): void {
    if (!this.#isLooping) this.#loop();
    if (this.#left === 0) {
      this.#waiting.push(enter);
      return;
    }
    this.#left -= 1;
    enter();
  }

  #loop(): void {
    this.#isLooping = true;
    setImmediate(() => {
      const next = this.#waiting.splice(0, perLoop);
      this.#isLooping = false;
      this.#left = next.length === 0 ? perLoop : 0;
      if (next.length > 0) this.#loop();
      // Each from a callback of its own: what it does in promises is done before the next one enters.
      for (const enter of next) setImmediate(enter);
    });
  }
}
