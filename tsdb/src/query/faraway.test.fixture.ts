/**
 * For tests: an engine over the tables of a fixture whose files lie in a store that is not on this machine.
 */
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { FileCache } from '../cache/file-cache.js';
import type { SliceOptions } from '../cache/slices/file-slices.js';
import { CountingStore } from '../counting-store.js';
import { openQueryEngine } from './open-query-engine.js';
import type { QueryEngine, QueryRequest } from './query-engine.js';
import { ownMemory, type QueryFixture } from './query.test.fixture.js';

export interface FarawayOptions {
  readonly name?: string;
  readonly bytesMax?: number;
  readonly slices?: SliceOptions;
}

export class Faraway {
  readonly store: MemoryStore;
  readonly cache: FileCache;
  readonly cacheFolder: string;
  readonly engine: QueryEngine;
  readonly #registry: Registry;

  private constructor(
    parts: Pick<Faraway, 'store' | 'cache' | 'cacheFolder' | 'engine'>,
    registry: Registry,
  ) {
    this.store = parts.store;
    this.cache = parts.cache;
    this.cacheFolder = parts.cacheFolder;
    this.engine = parts.engine;
    this.#registry = registry;
  }

  /** May be opened again with the store of another one, under the same name: a new start of the program. */
  static async open(
    fixture: QueryFixture,
    { name = 'faraway', bytesMax = 1e9, slices }: FarawayOptions = {},
    store = new MemoryStore(),
  ): Promise<Faraway> {
    for (const snapshot of fixture.current())
      for (const { key } of snapshot.files.values())
        await store.putIfAbsent(key, { path: fixture.store.localPath(key) });
    const folder = join(fixture.folder, name);
    const cacheFolder = join(folder, 'cache');
    const registry = new Registry();
    const log = silentLogger();
    const cache = await FileCache.open({
      store: new CountingStore(store, registry),
      folder: cacheFolder,
      bytesMax,
      log,
      registry,
      ...(slices && { slices }),
    });
    const engine = await openQueryEngine({
      catalog: fixture,
      dataFiles: cache,
      knownNewest: (snapshot) => fixture.knownNewest(snapshot),
      dataDir: join(folder, 'data'),
      readableFolders: [cacheFolder],
      memoryBytesMax: 500e6,
      spillBytesMax: 1e9,
      memory: ownMemory(),
      clock: systemClock,
      log,
      registry,
    });
    return new Faraway({ store, cache, cacheFolder, engine }, registry);
  }

  async close(): Promise<void> {
    await this.engine.close();
    await this.cache.close();
  }

  /** What the store was asked for so far. */
  async traffic(): Promise<{ requests: number; downloads: number; bytes: number }> {
    const sum = async (name: string, op?: string) => {
      const { values = [] } = (await this.#registry.getSingleMetric(name)?.get()) ?? {};
      return values.reduce((total, { value, labels }) => total + (op && labels['op'] !== op ? 0 : value), 0);
    };
    return {
      requests: await sum('varve_tsdb_store_requests_total'),
      downloads: await sum('varve_tsdb_store_requests_total', 'download'),
      bytes: await sum('varve_tsdb_store_bytes_total'),
    };
  }
}

export interface Rows {
  readonly rows: readonly string[];
  readonly files: number;
  readonly bytes: number;
}

/** Its rows as text, in whatever order, or how it failed. */
export async function ask(engine: QueryEngine, request: string | QueryRequest): Promise<Rows> {
  const asked = typeof request === 'string' ? { sql: request } : request;
  const answer = await engine.query({ rowsMax: 1e6, ...asked }, new AbortController().signal);
  try {
    const rows: string[] = [];
    for await (const { rowCount, vectorAt } of answer.batches())
      for (let row = 0; row < rowCount; row++)
        rows.push(answer.columns.map((_, column) => String(vectorAt(column).getItem(row))).join('|'));
    const { files, bytes } = answer.stats;
    return { rows: rows.sort(), files: files.length, bytes };
  } finally {
    await answer.close();
  }
}
