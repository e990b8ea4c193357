/**
 * How one loop tells another that there is something to do. A wake that comes while nobody waits is kept; many count as one.
 */
import type { Clock } from '@varve/common/clock.js';

/** The longest a timer can be set; nothing waits that long without being woken. */
const foreverMs = 2 ** 31 - 1;
const woken = 'woken';

export class Wakeup {
  readonly #clock: Clock;
  #isSet = false;
  #interrupt: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wake(): void {
    this.#isSet = true;
    this.#interrupt?.();
  }

  /** Resolves at the next wake – at once if one came since the last wait –, after `timeoutMs`, or when `signal` aborts. */
  async wait(signal: AbortSignal, timeoutMs = foreverMs): Promise<void> {
    if (!this.#isSet && !signal.aborted) {
      const timer = new AbortController();
      // Not AbortSignal.any: it keeps every timer of a long-lived signal in memory on Node 20.
      // With a reason, since an exception is made – stack and all – for every abort without.
      this.#interrupt = () => timer.abort(woken);
      signal.addEventListener('abort', this.#interrupt);
      await this.#clock.sleep(Math.min(timeoutMs, foreverMs), timer.signal);
      signal.removeEventListener('abort', this.#interrupt);
      this.#interrupt = undefined;
    }
    this.#isSet = false;
  }
}
