/**
 * Uploads within a byte rate (`ship.bandwidth`), by pauses between them: an upload goes at the line's own speed, and the
 * next one begins when the rate would have let the bytes so far through. So the average is kept, and a burst is as long
 * as one shipment, which `ship.max_bytes` bounds. An upload that fails has used the line too, and counts.
 */
import type { Clock } from '@varve/common/clock.js';

export class ByteRate {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number | undefined;
  #freeAtMs = 0;

  /** Without a rate nothing ever waits. */
  constructor(clock: Clock, bytesPerSecond: number | undefined) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Uploads that may be under way at once. */
  get uploadsMax(): number | undefined {
    return this.#bytesPerSecond === undefined ? undefined : 1;
  }

  /** How long the next upload must wait; 0 when it may begin. */
  get waitMs(): number {
    return Math.max(0, this.#freeAtMs - this.#clock.monotonicMs());
  }

  /** An upload of so many bytes begins. */
  spend(bytes: number): void {
    if (this.#bytesPerSecond === undefined) return;
    this.#freeAtMs = planFreeAtMs(this.#freeAtMs, this.#clock.monotonicMs(), bytes, this.#bytesPerSecond);
  }
}

/** When the rate has let through what was spent until now and `bytes` more. Time that nobody used is not saved up. */
export function planFreeAtMs(freeAtMs: number, nowMs: number, bytes: number, bytesPerSecond: number): number {
  return Math.max(freeAtMs, nowMs) + (bytes / bytesPerSecond) * 1_000;
}
