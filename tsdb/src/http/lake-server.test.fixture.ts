/** For tests: the HTTP server over a lake that real shipments fill, round by round, with its versions and its tokens. */
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import { formatListenAddress } from '@varve/common/config/listen-address.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { parseScope } from '../access/token.js';
import { TokenBook } from '../access/token-book.js';
import { FileCache } from '../cache/file-cache.js';
import { DeltaCatalog } from '../delta/catalog.js';
import { DeltaLog } from '../delta/delta-log.js';
import { vacuum } from '../delta/vacuum.js';
import { TestLake, type TestShipment } from '../ingest/lake.test.fixture.js';
import { openQueryEngine } from '../query/open-query-engine.js';
import { ownMemory } from '../query/query.test.fixture.js';
import { listen } from './http-server.js';
import { createTsdbServer } from './tsdb-server.js';

export type Body = Readonly<Record<string, unknown>> & { readonly rows?: unknown[][] };

export interface LakeServer {
  readonly url: string;
  readonly lake: TestLake;
  /** Puts the shipments, and takes in what can be: a commit, where there is something. */
  readonly take: (...shipments: TestShipment[]) => Promise<void>;
  /** Deletes every file of `climate` that its newest version does not need. */
  readonly vacuumAll: () => Promise<void>;
  /** A token with these scopes, such as `read:climate`. */
  readonly token: (...scopes: string[]) => Promise<string>;
  readonly ask: (path: string, init?: RequestInit) => Promise<{ status: number; text: string; body: Body }>;
  readonly post: (path: string, body: unknown, token?: string) => ReturnType<LakeServer['ask']>;
  readonly close: () => Promise<void>;
}

/** @param hasTokens requests without one are refused then */
export async function openLakeServer({ hasTokens = false } = {}): Promise<LakeServer> {
  const lake = await TestLake.open();
  const { store } = lake;
  const common = { store, clock: systemClock, log: silentLogger(), registry: new Registry() };
  const { clock, log } = common;
  const ingester = await lake.openIngester();
  const register = lake.registerOf(ingester);
  const catalog = new DeltaCatalog(store, clock, log);
  const cacheFolder = join(lake.dir, 'cache');
  const cache = await FileCache.open({ ...common, folder: cacheFolder, bytesMax: 1 });
  const engine = await openQueryEngine({
    ...{
      ...common,
      catalog,
      dataFiles: cache,
      knownNewest: () => undefined,
      dataDir: join(lake.dir, 'data'),
    },
    ...{ readableFolders: [cacheFolder], memoryBytesMax: 500e6, spillBytesMax: 1e9, memory: ownMemory() },
  });
  const server = createTsdbServer({
    ...{ ...common, version: '1.2.3', startedMs: clock.nowMs(), catalog, engine, parts: {} },
    ingestState: () => ingester.status(),
    newestRows: async (name) => {
      const state = catalog.get(name);
      return state && (await register.latest(state));
    },
    past: { store, catalog, clock, deltaLog: new DeltaLog(store, clock) },
    tokens: hasTokens ? new TokenBook(store, clock) : undefined,
  });
  const address = await listen(server, { host: '127.0.0.1', port: 0 }, 'listen');

  const url = `http://${formatListenAddress(address)}`;
  const ask: LakeServer['ask'] = async (path, init) => {
    const response = await fetch(`${url}/api/v1/${path}`, init);
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') ?? false;
    return { status: response.status, text, body: (isJson ? JSON.parse(text) : {}) as Body };
  };
  return {
    url,
    lake,
    ask,
    post: (path, body, token) =>
      ask(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify(body),
      }),
    take: async (...shipments) => {
      for (const shipment of shipments) await lake.ship(shipment);
      await lake.runClean(ingester);
      await catalog.refresh();
    },
    vacuumAll: async () => {
      const options = { isDryRun: false, olderThanMs: 0, isShortAllowed: true };
      await vacuum({ store, catalog, clock }, { database: 'main', table: 'climate' }, options);
    },
    token: async (...scopes) => {
      // As the command line does it: a book that is asked goes on with its list for ten seconds.
      const { text } = await new TokenBook(store, clock).create({
        ...{ description: 'for a test', created: new Date().toISOString(), expires: null },
        requests_per_minute: null,
        scopes: scopes.flatMap((scope) => parseScope(scope) ?? []),
      });
      return text;
    },
    close: async () => {
      await server.close();
      await engine.close();
      await cache.close();
      await lake.close();
    },
  };
}
