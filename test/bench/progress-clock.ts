/** How fast a count grows that can only be asked for: from the last look that found nothing to the first that found all. */
import { systemClock } from '@varve/common/clock.js';

/** Short against a run of a second, long against the cost of an answer. */
const lookEveryMs = 20;

/** Counts a second. @throws when the count has not reached `total` within `limitMs` */
export async function timeProgress(
  total: number,
  limitMs: number,
  readCount: () => Promise<number>,
): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  let beganMs = startedMs;
  for (;;) {
    const lookedMs = systemClock.monotonicMs();
    const count = await readCount();
    if (count === 0) beganMs = lookedMs;
    if (count >= total) return (total * 1_000) / (systemClock.monotonicMs() - beganMs);
    if (lookedMs - startedMs > limitMs)
      throw new Error(`only ${count} of ${total} messages within ${limitMs} ms`);
    await systemClock.sleep(lookEveryMs);
  }
}
