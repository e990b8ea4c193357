/**
 * The only file that reads time. Everything else is handed a `Clock`, so that tests and the simulation own it.
 */
export interface Clock {
  /** Wall clock, milliseconds since 1970 UTC. May jump in either direction. */
  nowMs(): number;
  /**
   * Never goes backwards; its zero has no meaning. One clock for all processes and threads of a machine between two boots
   * (CLOCK_MONOTONIC where there is one), so that times of two lives of a program can be compared.
   */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts: it never rejects, loops look at the signal themselves. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `work` after `ms`. @returns what calls that off, and may be called too late. Cheaper than a sleep with a signal. */
  after(ms: number, work: () => void): () => void;
}

/** `performance.now` is this clock too, and cheaper, but counts from the start of each thread. */
const threadStartMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => threadStartMs + performance.now(),
  // Not `timers/promises`: it makes an error with a stack of every sleep that is ended.
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal?.addEventListener('abort', wake, { once: true });
    }),
  after: (ms, work) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};
