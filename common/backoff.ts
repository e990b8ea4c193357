/**
 * How long to wait before the same thing is tried again: exponential with full jitter, so that a thousand gateways that
 * lost the same store do not come back in the same second.
 */

export interface BackoffPolicy {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** `attempt` counts from 1. `random` is in [0, 1). Never below a tenth of the ceiling, so that no retry is immediate. */
export function planBackoffMs(attempt: number, policy: BackoffPolicy, random: number): number {
  const ceilingMs = Math.min(policy.maxMs, policy.firstMs * 2 ** Math.min(attempt - 1, 30));
  return ceilingMs * (0.1 + 0.9 * random);
}
