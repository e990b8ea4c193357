/**
 * Keeps `agents/<agent>/status.json` in the store: the document of `GET /status` with `written_at`, so that the centre can
 * tell which agent is silent, and why one falls behind, without reaching into its network.
 *
 * Put after a confirmed shipment, at most every 10 s, and at least every minute while the store can be reached. With
 * `ship.schedule` the line is opened by shipments only: then it is put after them, not every minute. A hint, not data: a
 * put that fails is left, and the next one says more.
 */
import type { Clock } from '@varve/common/clock.js';
import { messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { Store } from '@varve/common/store/store.js';
import { Wakeup } from '../wakeup.js';

const newsEveryMs = 10_000;
const everyMs = 60_000;

export interface StatusPublisherOptions {
  readonly key: string;
  readonly read: () => Promise<object>;
  /** The store while it can be reached. */
  readonly reachableStore: () => Pick<Store, 'put'> | undefined;
  /** Whether the line may be used without a shipment going over it. */
  readonly isLineOpen: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class StatusPublisher {
  readonly #options: StatusPublisherOptions;
  readonly #wakeup: Wakeup;
  #lastTryMs: number | undefined;
  #hasNews = false;
  #lastProblem: string | undefined;

  constructor(options: StatusPublisherOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
  }

  /** A shipment is confirmed, or the store has become reachable. */
  wake(): void {
    this.#hasNews = true;
    this.#wakeup.wake();
  }

  /** Runs until `signal` aborts; a put under way then is not waited for. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, isLineOpen } = this.#options;
    while (!signal.aborted) {
      const nowMs = clock.monotonicMs();
      const dueInMs = planPutInMs({ nowMs, lastTryMs: this.#lastTryMs, hasNews: this.#hasNews });
      if (dueInMs > 0) {
        await this.#wakeup.wait(signal, dueInMs);
        continue;
      }
      this.#lastTryMs = nowMs;
      const isWanted = this.#hasNews || isLineOpen();
      this.#hasNews = false;
      if (isWanted) await settledOrAborted(this.#put(), signal);
    }
  }

  /** Never rejects. */
  async #put(): Promise<void> {
    const { key, read, reachableStore, clock, logger } = this.#options;
    try {
      const store = reachableStore();
      if (!store) return;
      const document = { written_at: new Date(clock.nowMs()).toISOString(), ...(await read()) };
      await store.put(key, Buffer.from(JSON.stringify(document)));
      this.#lastProblem = undefined;
    } catch (error) {
      const reason = messageOf(error);
      if (reason !== this.#lastProblem)
        logger.warn({ key, reason }, 'the status in the store is not renewed');
      this.#lastProblem = reason;
    }
  }
}

export interface PutState {
  /** Monotonic. */
  readonly nowMs: number;
  readonly lastTryMs: number | undefined;
  readonly hasNews: boolean;
}

/** How long until the document is to be put; 0 when it is. */
export function planPutInMs({ nowMs, lastTryMs, hasNews }: PutState): number {
  if (lastTryMs === undefined) return 0;
  return Math.max(0, lastTryMs + (hasNews ? newsEveryMs : everyMs) - nowMs);
}

/** Leaves nothing behind on a signal that lives as long as the program. */
async function settledOrAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = () => {
      signal.removeEventListener('abort', end);
      resolve();
    };
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
    void work.then(end);
  });
}
