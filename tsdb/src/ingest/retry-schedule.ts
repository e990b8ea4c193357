/**
 * When something that failed is tried again: each name (a table, or the inbox) backs off on its own, so that a broken
 * table costs little and delays nobody. Logged when it begins to fail, when the reason changes, and when it works again.
 */
import { planBackoffMs, type BackoffPolicy } from '@varve/common/backoff.js';
import type { Clock } from '@varve/common/clock.js';
import { isFailure, messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';

export interface Trouble {
  readonly name: string;
  readonly error: unknown;
  readonly sinceMs: number;
  readonly attempts: number;
}

interface ScheduledTrouble extends Trouble {
  /** On the monotonic clock. */
  readonly nextTryMs: number;
}

export interface RetryScheduleOptions {
  readonly policy: BackoffPolicy;
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1). */
  readonly random: () => number;
}

export class RetrySchedule {
  readonly #options: RetryScheduleOptions;
  readonly #troubles = new Map<string, ScheduledTrouble>();

  constructor(options: RetryScheduleOptions) {
    this.#options = options;
  }

  current(): readonly Trouble[] {
    return [...this.#troubles.values()];
  }

  isDue(name: string): boolean {
    const trouble = this.#troubles.get(name);
    return trouble === undefined || trouble.nextTryMs <= this.#options.clock.monotonicMs();
  }

  failed(name: string, error: unknown): void {
    const { policy, clock, random } = this.#options;
    const before = this.#troubles.get(name);
    const attempts = (before?.attempts ?? 0) + 1;
    this.#troubles.set(name, {
      name,
      error,
      attempts,
      sinceMs: before?.sinceMs ?? clock.nowMs(),
      nextTryMs: clock.monotonicMs() + planBackoffMs(attempts, policy, random()),
    });
    if (!before || reasonOf(before.error) !== reasonOf(error)) this.#report(name, error);
  }

  worked(name: string): void {
    if (this.#troubles.delete(name)) this.#options.log.info({ name }, 'ingest works again');
  }

  #report(name: string, error: unknown): void {
    const { log } = this.#options;
    if (!isFailure(error)) log.error({ name, err: error }, 'ingest failed through a fault of ours');
    else if (error.kind === 'transient' || error.kind === 'conflict')
      log.warn({ name, code: error.code, reason: error.message }, 'ingest backs off');
    else log.error({ name, code: error.code, err: error }, 'ingest cannot go on until this is mended');
  }
}

/** Texts may carry varying details, such as a file's name; a code does not. */
function reasonOf(error: unknown): string {
  return isFailure(error) ? error.code : messageOf(error);
}
