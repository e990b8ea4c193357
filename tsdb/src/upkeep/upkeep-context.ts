/** What the parts of upkeep work with. */
import type { Clock } from '@varve/common/clock.js';
import type { Logger } from '@varve/common/log.js';
import type { Store } from '@varve/common/store/store.js';
import type { DeltaCatalog } from '../delta/catalog.js';
import type { DataFiles } from '../delta/data-files.js';
import type { DeltaLog } from '../delta/delta-log.js';
import type { DuckDb } from '../delta/duckdb.js';

export interface UpkeepContext {
  readonly store: Store;
  readonly catalog: DeltaCatalog;
  readonly deltaLog: DeltaLog;
  readonly dataFiles: DataFiles;
  readonly duckDb: DuckDb;
  /** Of a new file, until it is in the store. */
  readonly newPath: () => string;
  readonly clock: Clock;
  readonly log: Logger;
}
