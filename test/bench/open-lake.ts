/** Opens the only table of the folder store in argv[2] and says what that took, as JSON. For `lake-open`. */
import { systemClock } from '@varve/common/clock.js';
import { probeKey } from '@varve/common/contract/object-keys.js';
import { silentLogger } from '@varve/common/log.js';
import { openStore } from '@varve/common/store/open-store.js';
import { DeltaCatalog } from '@varve/tsdb/delta/catalog.js';

export interface OpenedLake {
  readonly ms: number;
  readonly residentBytes: number;
  readonly peakBytes: number;
  /** For the next snapshot, of a commit that adds a file. */
  readonly commitMs: number;
  readonly cloneBytes: number;
  readonly files: number;
}

const commitsMeasured = 100;

const [, , root = ''] = process.argv;
const store = await openStore(
  { url: root, pathStyle: false },
  { access: 'full', probeKey, clock: systemClock },
);
const catalog = new DeltaCatalog(store, systemClock, silentLogger());
const startedMs = systemClock.monotonicMs();
await catalog.refresh();
const ms = systemClock.monotonicMs() - startedMs;
const [state] = catalog.current();
if (!state) throw new Error('there is no table', { cause: catalog.problems()[0]?.failure });
const residentBytes = process.memoryUsage.rss();
const heapBytes = process.memoryUsage().heapUsed;
const commitStartedMs = systemClock.monotonicMs();
for (let index = 1; index <= commitsMeasured; index += 1) {
  const path = `day=2026-01-01/part-new-${index}.parquet`;
  const add = {
    path,
    partitionValues: { day: '2026-01-01' },
    size: 1,
    modificationTime: 0,
    dataChange: true,
  };
  catalog.applied(state.name, state.version + index, [{ add }]);
}
const opened: OpenedLake = {
  ms,
  residentBytes,
  peakBytes: process.resourceUsage().maxRSS * 1_024,
  commitMs: (systemClock.monotonicMs() - commitStartedMs) / commitsMeasured,
  cloneBytes: (process.memoryUsage().heapUsed - heapBytes) / commitsMeasured,
  files: state.files.size,
};
process.stdout.write(JSON.stringify(opened));
await catalog.close();
store.close();
