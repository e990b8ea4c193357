/** The register with a DuckDB of its own, on one thread: reading a lake for it takes little from ingest and queries. */
import { join } from 'node:path';
import type { Clock } from '@varve/common/clock.js';
import type { Logger } from '@varve/common/log.js';
import type { Store } from '@varve/common/store/store.js';
import type { DataFiles } from '../delta/data-files.js';
import { DeltaLog } from '../delta/delta-log.js';
import { DuckDb } from '../delta/duckdb.js';
import { SeriesRegister } from './series-register.js';

const memoryBytesMax = 256 * 2 ** 20;
const tempBytesMax = 4 * 2 ** 30;

export interface RegisterOptions {
  readonly store: Store;
  readonly dataFiles: DataFiles;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly seriesMax?: number;
}

export function openSeriesRegister({ store, ...options }: RegisterOptions): SeriesRegister {
  const tempDir = join(options.dataDir, 'latest', 'spill');
  return new SeriesRegister({
    ...options,
    deltaLog: new DeltaLog(store, options.clock),
    duckDb: new DuckDb({ tempDir, memoryBytesMax, tempBytesMax, threads: 1 }),
  });
}
