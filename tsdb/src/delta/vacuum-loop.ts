/**
 * Vacuum in the background: every table once a day, the first time an hour after the start.
 */
import { isFailure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { isWritable } from './actions.js';
import { formatTableName } from './table-metadata.js';
import { vacuum, type VacuumContext } from './vacuum.js';

const firstAfterMs = 3_600_000;
const everyMs = 24 * 3_600_000;

/** Runs until `signal` aborts. A table that fails is logged and comes again the next day. */
export async function vacuumDaily(
  context: VacuumContext & { readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  await context.clock.sleep(firstAfterMs, signal);
  while (!signal.aborted) {
    await vacuumAll(context, signal);
    await context.clock.sleep(everyMs, signal);
  }
}

export async function vacuumAll(
  context: VacuumContext & { readonly log: Logger },
  signal?: AbortSignal,
): Promise<void> {
  const { catalog, log } = context;
  for (const state of catalog.current()) {
    if (signal?.aborted) return;
    const table = formatTableName(state.name);
    try {
      if (!isWritable(state)) continue;
      const { deleted, deletedBytes } = await vacuum(context, state.name, { isDryRun: false });
      if (deleted > 0)
        log.info({ table, deleted, bytes: deletedBytes }, 'files that nobody needs are deleted');
    } catch (error) {
      if (!isFailure(error)) throw error;
      log.warn({ table, err: error }, 'a table could not be vacuumed; in a day again');
    }
  }
}
