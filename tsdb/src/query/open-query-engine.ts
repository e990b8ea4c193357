/**
 * Puts the query engine together from its parts, all of whose files lie below one folder.
 *
 *     <data_dir>/query/spill/       what queries cannot hold in memory
 *     <data_dir>/query/exports/     answers in Parquet, until they are sent
 *     <data_dir>/query/templates/   one empty Parquet file per shape of a table
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@varve/common/clock.js';
import type { Logger } from '@varve/common/log.js';
import type { Registry } from '@varve/common/metrics.js';
import type { DataFiles } from '../delta/data-files.js';
import type { TableCatalog } from '../delta/snapshot.js';
import { ExportFolder } from './exported-file.js';
import type { KnownNewest } from './newest-rows.js';
import type { ProcessMemory } from './memory-watch.js';
import { QueryDatabase } from './query-database.js';
import { QueryEngine } from './query-engine.js';
import { insideMax } from './query-lanes.js';
import { TableViews } from './table-views.js';

export interface OpenQueryEngineOptions {
  readonly catalog: TableCatalog;
  readonly dataFiles: DataFiles;
  /** Absent where nothing is known of newest rows. */
  readonly knownNewest?: KnownNewest;
  readonly dataDir: string;
  /** Where data files lie: nothing else on this machine can be read. */
  readonly readableFolders: readonly string[];
  readonly memoryBytesMax: number;
  readonly spillBytesMax: number;
  readonly memory: ProcessMemory;
  /** Threads of libuv's pool, four unless `UV_THREADPOOL_SIZE` says otherwise. */
  readonly blockingThreads?: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
}

/** Of ingest, upkeep and whatever else the program does meanwhile, each with a bound of its own. */
const othersBytes = 2 * 2 ** 30;

export async function openQueryEngine(options: OpenQueryEngineOptions): Promise<QueryEngine> {
  const { dataDir, readableFolders, memoryBytesMax, spillBytesMax } = options;
  const exports = await ExportFolder.open(join(dataDir, 'query', 'exports'), spillBytesMax);
  const templateFolder = join(dataDir, 'query', 'templates');
  const spillFolder = join(dataDir, 'query', 'spill');
  const views = await TableViews.open(templateFolder);
  return await QueryEngine.open({
    ...options,
    blockingThreads: options.blockingThreads ?? 4,
    growthBytesMax: memoryBytesMax + othersBytes,
    exports,
    views,
    mendLocalFiles: async () => {
      await Promise.all([
        views.forgetMissing(),
        options.dataFiles.forgetMissing(),
        mkdir(exports.path, { recursive: true }),
        mkdir(spillFolder, { recursive: true }),
      ]);
      options.log.warn('files of data_dir were gone: they are made and fetched again');
    },
    openDatabase: () =>
      QueryDatabase.open({
        slotsMax: insideMax,
        memoryBytesMax,
        spillFolder,
        spillBytesMax,
        // Without the slash, `/lake/tables` would open `/lake/tables-of-others` too.
        readableFolders: [templateFolder, exports.path, ...readableFolders].map((folder) =>
          join(folder, '/'),
        ),
      }),
  });
}
