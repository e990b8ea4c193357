/**
 * Sees what other processes commit. Our own commits are in the catalog without it.
 */
import type { Clock } from '@varve/common/clock.js';
import { isFailure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { TableCatalog } from './snapshot.js';

export interface WatchCatalogOptions {
  readonly catalog: TableCatalog;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A list and a request per table each time: every second of it costs some dollars per table and year on S3. */
const refreshEveryMs = 10_000;

/** Runs until `stop` aborts. A store that fails is tried again; queries go on with what is known. */
export async function watchCatalog(
  { catalog, clock, log }: WatchCatalogOptions,
  stop: AbortSignal,
): Promise<void> {
  let hasFailed = false;
  for (;;) {
    await clock.sleep(refreshEveryMs, stop);
    if (stop.aborted) return;
    try {
      await catalog.refresh();
      if (hasFailed) log.info('the tables can be read again');
      hasFailed = false;
    } catch (error) {
      if (!isFailure(error)) throw error;
      if (!hasFailed) log.warn({ code: error.code, err: error }, 'the tables cannot be read');
      hasFailed = true;
    }
  }
}
