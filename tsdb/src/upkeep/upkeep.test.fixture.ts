/** Upkeep over a `TestLake`, as a process that starts: with an empty memory and a folder of its own. For tests. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { systemClock, type Clock } from '@varve/common/clock.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { DeltaCatalog } from '../delta/catalog.js';
import { DownloadedFiles, type TestLake } from '../ingest/lake.test.fixture.js';
import { JobBook } from '../jobs.js';
import { Upkeep, type UpkeepOptions } from './upkeep.js';

export interface TestUpkeep {
  readonly upkeep: Upkeep;
  readonly jobs: JobBook;
}

export async function openTestUpkeep(
  lake: TestLake,
  options: Partial<UpkeepOptions> & { readonly clock?: Clock } = {},
): Promise<TestUpkeep> {
  const catalog = new DeltaCatalog(lake.store, systemClock, silentLogger());
  await catalog.refresh();
  const jobs = new JobBook(systemClock);
  const upkeep = await Upkeep.open({
    ...{
      store: lake.store,
      catalog,
      jobs,
      clock: systemClock,
      log: silentLogger(),
      registry: new Registry(),
    },
    dataFiles: new DownloadedFiles(lake.store, lake.dir),
    dataDir: join(lake.dir, randomUUID()),
    retainMsOf: () => undefined,
    memoryBytesMax: 2 ** 28,
    ...options,
  });
  return { upkeep, jobs };
}
