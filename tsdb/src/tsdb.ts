/**
 * tsdb, as a picture: its parts, started in order, stopped in the reverse.
 *
 *     inbox ─▶ ingester ─▶ tables (Delta) ─▶ catalog ─▶ query engine ─▶ HTTP
 *              upkeep ───────────┘└──▶ file cache ────────────┘
 */
import type { Clock } from '@varve/common/clock.js';
import { probeKey, type TableName } from '@varve/common/contract/object-keys.js';
import type { Logger } from '@varve/common/log.js';
import type { Registry } from '@varve/common/metrics.js';
import { runLoops } from '@varve/common/run-loops.js';
import { openStore } from '@varve/common/store/open-store.js';
import { openTokens } from './access/open-tokens.js';
import { FileCache } from './cache/file-cache.js';
import { cacheFolder, dataFileFolders, logFolder, retentionOf, type TsdbConfig } from './config.js';
import { CountingStore } from './counting-store.js';
import { lockDataDir } from './data-dir-lock.js';
import { DeltaCatalog } from './delta/catalog.js';
import { DeltaLog } from './delta/delta-log.js';
import { LogKeeper } from './delta/log-keeper.js';
import { vacuumDaily } from './delta/vacuum-loop.js';
import { watchCatalog } from './delta/watch-catalog.js';
import { listen } from './http/http-server.js';
import { addJobRoutes } from './http/job-routes.js';
import { ServerCertificate } from './http/server-certificate.js';
import { createTsdbServer } from './http/tsdb-server.js';
import { openIngester } from './ingest/ingester.js';
import { openSeriesRegister } from './latest/open-series-register.js';
import { JobBook } from './jobs.js';
import { Lease } from './lease.js';
import type { ProcessMemory } from './query/memory-watch.js';
import { openQueryEngine } from './query/open-query-engine.js';
import { Upkeep } from './upkeep/upkeep.js';

export interface TsdbOptions {
  readonly config: TsdbConfig;
  readonly version: string;
  /** Threads of libuv's pool. */
  readonly blockingThreads?: number;
  readonly memory: ProcessMemory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
}

/** Runs until `signal` aborts, then stops in order. @throws Failure when it cannot start */
export async function runTsdb(options: TsdbOptions, signal: AbortSignal): Promise<void> {
  const { config, version, clock, log, registry } = options;
  const { dataDir, cache } = config;
  const startedMs = clock.nowMs();
  const common = { clock, log, registry };

  const lock = await lockDataDir(dataDir);
  const openedStore = await openStore(config.store, { access: 'full', probeKey, clock });
  const store = new CountingStore(openedStore, registry);
  const dataFiles = await FileCache.open({
    ...common,
    store,
    folder: cacheFolder(config),
    bytesMax: cache.diskBytes,
  });
  const catalog = new DeltaCatalog(store, clock, log, logFolder(config));
  await catalog.refresh();
  const register = openSeriesRegister({ ...common, store, dataFiles, dataDir });
  const engine = await openQueryEngine({
    ...common,
    catalog,
    dataFiles,
    knownNewest: (snapshot) => register.knownOf(catalog.current().find((state) => state === snapshot)),
    dataDir,
    readableFolders: dataFileFolders(config),
    ...(options.blockingThreads !== undefined && { blockingThreads: options.blockingThreads }),
    memoryBytesMax: cache.memoryBytes,
    spillBytesMax: cache.diskBytes,
    memory: options.memory,
  });
  const lease = await Lease.open({ ...common, store, dataDir, isNeeded: config.lease });
  const ingester = await openIngester({
    ...common,
    store,
    catalog,
    dataFiles,
    register,
    dataDir,
    everyMs: config.ingest.everyMs,
  });
  const logKeeper = new LogKeeper({ ...common, store, catalog });
  const jobs = new JobBook(clock);
  const retainMsOf = retentionOf(config);
  const rules = { retainMsOf, compactEveryMs: config.compact.everyMs };
  const upkeep = await Upkeep.open({ ...common, store, catalog, dataFiles, dataDir, jobs, ...rules });
  const parts = {
    lease: () => lease.status(),
    ingest: () => ingester.status(),
    upkeep: () => upkeep.status(),
    cache: () => dataFiles.status,
    problems: () => catalog.problems(),
  };
  const past = { store, catalog, clock, deltaLog: new DeltaLog(store, clock) };
  const newestRows = async (name: TableName) => {
    const state = catalog.get(name);
    return state && (await register.latest(state));
  };
  const conflictsOf = (name: TableName) => ingester.conflictsOf(name);
  const ingestState = () => ingester.status();
  const tokens = await openTokens(config, store, clock);
  const certificate = config.tls && new ServerCertificate(config.tls, common);
  const asked = { store, catalog, engine, newestRows, conflictsOf, ingestState, past, tokens, certificate };
  const server = createTsdbServer({ ...common, version, startedMs, parts, ...asked });
  addJobRoutes(server, { catalog, jobs, upkeep });

  try {
    const address = await listen(server, config.listen, 'listen');
    if (tokens && !certificate)
      log.warn('tokens cross the network readable: write tls, or put a proxy in front');
    log.info({ version, store: store.url, listen: address, tables: catalog.current().length }, 'answering');
    await runLoops(signal, [
      (stop) => lease.run(stop),
      lease.whileHeld((stop) => ingester.run(stop)),
      (stop) => logKeeper.run(stop),
      lease.whileHeld((stop) => upkeep.run(stop)),
      lease.whileHeld((stop) => vacuumDaily({ store, catalog, clock, log }, stop)),
      (stop) => watchCatalog({ catalog, clock, log }, stop),
      ...(certificate ? [(stop: AbortSignal) => certificate.run(stop)] : []),
    ]);
  } finally {
    // Together: the server waits for answers under way, which the engine ends.
    await Promise.all([server.close(), engine.close()]);
    await ingester.close();
    await register.close();
    await upkeep.close();
    await catalog.close();
    await dataFiles.close();
    await lease.release();
    store.close();
    lock.release();
    log.info('stopped');
  }
}
