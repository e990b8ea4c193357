/**
 * A lake for benches: tsdb's own ingester in this process, on a folder and a store that counts requests, and shipments as
 * agents make them, but written by DuckDB.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import { formatInboxKey, probeKey, type InboxKey } from '@varve/common/contract/object-keys.js';
import { formatShipmentMetadata } from '@varve/common/contract/shipment.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { openStore } from '@varve/common/store/open-store.js';
import type { Store } from '@varve/common/store/store.js';
import { FileCache } from '@varve/tsdb/cache/file-cache.js';
import { CountingStore } from '@varve/tsdb/counting-store.js';
import { DeltaCatalog } from '@varve/tsdb/delta/catalog.js';
import { DuckDb, type Session } from '@varve/tsdb/delta/duckdb.js';
import { quoteText } from '@varve/tsdb/delta/sql-text.js';
import { openIngester, type Ingester } from '@varve/tsdb/ingest/ingester.js';
import { openSeriesRegister } from '@varve/tsdb/latest/open-series-register.js';
import { JobBook } from '@varve/tsdb/jobs.js';
import { Upkeep } from '@varve/tsdb/upkeep/upkeep.js';
import type { Owner } from '../processes.js';

export interface Lake {
  readonly store: Store;
  readonly catalog: DeltaCatalog;
  readonly ingester: Ingester;
  readonly upkeep: Upkeep;
  readonly registry: Registry;
  /** To make rows with. */
  readonly duckDb: DuckDb;
  readonly folder: string;
}

/** @param folder gets `store`, `tsdb`, and what DuckDB spills */
export async function openLake(owner: Owner, folder: string, memoryBytesMax = 2 ** 30): Promise<Lake> {
  const clock = systemClock;
  const log = silentLogger();
  const registry = new Registry();
  const url = join(folder, 'store');
  const opened = await openStore({ url, pathStyle: false }, { access: 'full', probeKey, clock });
  const store = new CountingStore(opened, registry);
  const dataDir = join(folder, 'tsdb');
  const dataFiles = await FileCache.open({
    ...{ store, clock, log, registry },
    folder: join(dataDir, 'cache'),
    bytesMax: 2 ** 32,
  });
  const catalog = new DeltaCatalog(store, clock, log);
  const register = openSeriesRegister({ store, dataFiles, dataDir, clock, log });
  const ingester = await openIngester({
    ...{ store, catalog, dataFiles, register, dataDir },
    ...{ clock, log, registry },
    everyMs: 1_000,
  });
  const upkeep = await Upkeep.open({
    ...{ store, catalog, dataFiles, dataDir, clock, log, registry },
    jobs: new JobBook(clock),
    retainMsOf: () => undefined,
  });
  const duckDb = new DuckDb({ tempDir: folder, memoryBytesMax, tempBytesMax: 2 ** 36, threads: 2 });
  owner.after(async () => {
    await ingester.close();
    await upkeep.close();
    await register.close();
    await duckDb.close();
    await catalog.close();
  });
  return { store, catalog, ingester, upkeep, registry, duckDb, folder };
}

/** Seconds until nothing waits. */
export async function drain(ingester: Ingester): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    const { hasMore, failures } = await ingester.runOnce();
    if (failures.length > 0) throw new Error('ingest failed', { cause: failures[0]?.error });
    if (!hasMore) return (performance.now() - startedMs) / 1_000;
  }
}

export interface BenchShipment extends InboxKey {
  /** Has `time`, the tags, and the fields. */
  readonly relation: string;
  readonly rows: number;
  /** Absent: device, site. */
  readonly tags?: readonly string[];
  readonly fields: readonly string[];
  /** Of all fields. */
  readonly decimals: number | undefined;
}

export async function ship(
  { store, folder }: Lake,
  session: Session,
  shipment: BenchShipment,
): Promise<void> {
  const { relation, rows, tags = ['device', 'site'], fields, decimals, ...key } = shipment;
  const metadata = formatShipmentMetadata({
    ...key,
    rowCount: rows,
    tags,
    originalNames: {},
    firstLogSeq: 1,
    lastLogSeq: rows,
    ...(decimals !== undefined && { decimals: Object.fromEntries(fields.map((name) => [name, decimals])) }),
  });
  const entries = [...metadata].map(([name, value]) => `${quoteText(name)}: ${quoteText(value)}`);
  const path = join(folder, 'shipments', `${key.agent}-${key.table}-${key.seq}.parquet`);
  await mkdir(join(folder, 'shipments'), { recursive: true });
  await session.run(`COPY (SELECT time, ${[...tags, ...fields].join(', ')} FROM ${relation} ORDER BY ${tags.join(', ')}, time)
    TO ${quoteText(path)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {${entries.join(', ')}})`);
  await store.putIfAbsent(formatInboxKey(key), { path });
  await rm(path, { force: true });
}
