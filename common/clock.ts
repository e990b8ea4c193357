/**
 * The only file that reads time. Everything else is handed a `Clock`, so that tests and the simulation own it.
 */
import { setTimeout as sleepTimer } from 'node:timers/promises';

export interface Clock {
  /** Wall clock, milliseconds since 1970 UTC. May jump in either direction. */
  nowMs(): number;
  /** Never goes backwards; its zero has no meaning. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts: it never rejects, loops look at the signal themselves. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  async sleep(ms, signal) {
    try {
      await sleepTimer(ms, undefined, signal ? { signal } : {});
    } catch (error) {
      if (!signal?.aborted) throw error;
    }
  },
};
