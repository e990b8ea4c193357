/**
 * Whether sources may take messages. Closed, each leaves its broker on purpose – a connection that is not read cannot answer
 * the broker's pings either – and the brokers keep what comes (QoS 1).
 */
export class IntakeGate {
  #stopReason: string | undefined;
  #onDiskFull: (message: string) => void = () => undefined;
  readonly #onStop = new Set<() => void>();
  readonly #onResume = new Set<() => void>();

  get isOpen(): boolean {
    return this.#stopReason === undefined;
  }

  get stopReason(): string | undefined {
    return this.#stopReason;
  }

  stop(reason: string): void {
    const wasOpen = this.isOpen;
    this.#stopReason = reason;
    if (wasOpen) for (const listener of this.#onStop) listener();
  }

  resume(): void {
    this.#stopReason = undefined;
    for (const listener of [...this.#onResume]) listener();
  }

  /** A write found no room on the disk. */
  reportDiskFull(message: string): void {
    this.stop(message);
    this.#onDiskFull(message);
  }

  /** Who decides when to resume after that. */
  set onDiskFull(listener: (message: string) => void) {
    this.#onDiskFull = listener;
  }

  /** Calls `listener` whenever the gate closes, until the returned function is called. */
  onStop(listener: () => void): () => void {
    this.#onStop.add(listener);
    return () => this.#onStop.delete(listener);
  }

  /** Resolves when the gate is open, or `signal` aborts. */
  async whenOpen(signal: AbortSignal): Promise<void> {
    if (this.isOpen || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#onResume.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#onResume.add(done);
      signal.addEventListener('abort', done);
    });
  }
}
