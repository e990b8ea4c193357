/**
 * Runs the agent, and once more when its log turned out to be damaged on the way: the damage is salvaged then, before anything
 * else starts. No loop: damaged again within `calmMs` of a salvage, it ends with the failure, since the disk goes on to
 * damage what is written to it.
 */
import type { Clock } from '@varve/common/clock.js';
import { isFailure } from '@varve/common/errors.js';
import { stillDamaged } from './log/start-edge-log.js';

const calmMs = 600_000;

export interface HealingOptions {
  readonly clock: Clock;
  readonly databasePath: string;
}

/** `run` is given what was found damaged, if anything was. @throws what `run` throws, `log_corrupt` the second time */
export async function runHealing(
  run: (damage: string | undefined) => Promise<void>,
  { clock, databasePath }: HealingOptions,
  signal: AbortSignal,
): Promise<void> {
  let damage: string | undefined;
  for (;;) {
    const startedMs = clock.monotonicMs();
    try {
      await run(damage);
      return;
    } catch (error) {
      if (!isFailure(error, 'log_corrupt') || signal.aborted) throw error;
      // With a hint it says already that salvaging did not help.
      if (error.hint !== undefined) throw error;
      if (damage !== undefined && clock.monotonicMs() - startedMs < calmMs)
        throw stillDamaged(databasePath, error);
      damage = error.message;
    }
  }
}
