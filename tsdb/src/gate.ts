/**
 * Lets a bounded number of callers in at a time; the others wait in line, first come, first served. How long the line may
 * get is the caller's to say: look at `isFull` before `enter`.
 */

export class Gate {
  readonly #insideMax: number;
  readonly #waitingMax: number;
  readonly #line = new Set<() => void>();
  #inside = 0;

  constructor(insideMax: number, waitingMax = Number.POSITIVE_INFINITY) {
    this.#insideMax = insideMax;
    this.#waitingMax = waitingMax;
  }

  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#line.size;
  }

  get isFull(): boolean {
    return this.#inside >= this.#insideMax && this.#line.size >= this.#waitingMax;
  }

  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const leave = await this.enter(signal);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** Resolves once inside, to the way out, which must be called once. Rejects with the reason of `signal`. */
  async enter(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#inside < this.#insideMax) this.#inside += 1;
    else await this.#wait(signal);
    return () => this.#leave();
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const letIn = () => {
        signal?.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = () => {
        this.#line.delete(letIn);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#line.add(letIn);
    });
  }

  /** Hands the place on, so that nobody who comes now overtakes those in line. */
  #leave(): void {
    const [next] = this.#line;
    if (next === undefined) this.#inside -= 1;
    else {
      this.#line.delete(next);
      next();
    }
  }
}
