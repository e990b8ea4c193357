/**
 * `lake-ingest`: from the inbox to committed rows (DESIGN §8), with tsdb's own ingester on a store that counts requests.
 *
 * 1. Throughput: shipments of 50,000 rows and five fields, as agents make them of a backlog, until the inbox is empty.
 * 2. Many agents: 1,000 of them with a shipment of ten rows every 10 s each. The inbox stays empty if a round of all of
 *    them takes less than that. Its requests, by kind, tell what a day costs.
 *
 * Shipments are made by DuckDB with the columns, order and metadata of the contract; agents' own are a little larger.
 */
import { mkdir } from 'node:fs/promises';
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
import { temporaryFolder } from '../installation.js';
import type { Owner } from '../processes.js';
import { withOwner, type BenchOptions } from './bench-run.js';
import { createWalks, devices, everySeconds, firstDayMs, valuesPerRow } from './random-walks.js';
import { verdict, type Cell, type Report } from './report.js';

const throughput = { shipments: 20, rows: 50_000, target: 1e6 };
/** So long that all devices together make a shipment's rows. */
const shipmentMs = (throughput.rows / devices) * everySeconds * 1_000;
const fleet = { agents: 1_000, rows: 10, rounds: 2, everySeconds: 10 };

interface Lake {
  readonly store: Store;
  readonly ingester: Ingester;
  readonly registry: Registry;
  readonly duckDb: DuckDb;
  readonly folder: string;
}

export async function benchLakeIngest({ note }: BenchOptions): Promise<Report> {
  const [rate, byAgents] = [
    await withOwner((owner) => measureRate(owner, note)),
    await withOwner((owner) => measureFleet(owner, note)),
  ];
  const perRound = Math.max(...byAgents.secondsByRound);
  return {
    bench: 'lake-ingest',
    tables: [
      {
        title: `${throughput.shipments} shipments of ${throughput.rows} rows and ${valuesPerRow} fields, in a folder`,
        columns: ['fields', 'million values/s', 'seconds'],
        rows: rate.map(({ what, valuesPerSecond, seconds }): Cell[] => [
          what,
          valuesPerSecond / 1e6,
          seconds,
        ]),
      },
      {
        title: `${fleet.agents} agents, a shipment of ${fleet.rows} rows each, one table; a round, and what it asks of the store`,
        columns: ['round', 'seconds'],
        rows: byAgents.secondsByRound.map((seconds, index): Cell[] => [String(index + 1), seconds]),
      },
      {
        title: 'Requests of tsdb in a round, by kind',
        columns: ['operation', 'requests', 'per shipment'],
        rows: [...byAgents.requests].map(([operation, count]): Cell[] => [
          operation,
          count,
          count / fleet.agents,
        ]),
      },
    ],
    findings: [
      ...rate.map(
        ({ what, valuesPerSecond }) =>
          `${what}: ${(valuesPerSecond / 1e6).toFixed(2)} M values/s, target ≥ 1: ${verdict(valuesPerSecond >= throughput.target)}`,
      ),
      `${fleet.agents} agents: the slowest round took ${perRound.toFixed(1)} s, target ≤ ${fleet.everySeconds}: ${verdict(perRound <= fleet.everySeconds)}`,
    ],
  };
}

async function openLake(owner: Owner): Promise<Lake> {
  const folder = temporaryFolder(owner);
  const clock = systemClock;
  const log = silentLogger();
  const registry = new Registry();
  const opened = await openStore(
    { url: join(folder, 'store'), pathStyle: false },
    { access: 'full', probeKey, clock },
  );
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
  const duckDb = new DuckDb({ tempDir: folder, memoryBytesMax: 2 ** 30, tempBytesMax: 2 ** 33, threads: 2 });
  owner.after(async () => {
    await ingester.close();
    await register.close();
    await duckDb.close();
    await catalog.close();
  });
  return { store, ingester, registry, duckDb, folder };
}

async function measureRate(owner: Owner, note: BenchOptions['note']) {
  const lake = await openLake(owner);
  const rows = throughput.shipments * throughput.rows;
  const results: { what: string; valuesPerSecond: number; seconds: number }[] = [];
  await lake.duckDb.withSession((session) => createWalks(session, 1));
  for (const decimals of [undefined, 2]) {
    const what = decimals === undefined ? 'doubles' : 'with a declared resolution';
    note(`lake-ingest: ${what}`);
    const table = decimals === undefined ? 'plain' : 'exact';
    await lake.duckDb.withSession(async (session) => {
      for (let seq = 1; seq <= throughput.shipments; seq++) {
        const relation = `(SELECT * FROM walk WHERE epoch_ms(time) >= ${firstDayMs + (seq - 1) * shipmentMs}
          AND epoch_ms(time) < ${firstDayMs + seq * shipmentMs})`;
        await ship(lake, session, {
          relation,
          rows: throughput.rows,
          decimals,
          ...keyOf('agent-0', table, seq),
        });
      }
    });
    const seconds = await drain(lake.ingester);
    note(`lake-ingest: ${what}, ${((rows * valuesPerRow) / seconds / 1e6).toFixed(2)} M values/s`);
    results.push({ what, seconds, valuesPerSecond: (rows * valuesPerRow) / seconds });
  }
  return results;
}

async function measureFleet(owner: Owner, note: BenchOptions['note']) {
  const lake = await openLake(owner);
  await lake.duckDb.withSession((session) => createWalks(session, 1));
  const secondsByRound: number[] = [];
  let requests = new Map<string, number>();
  for (let round = 1; round <= fleet.rounds; round++) {
    note(`lake-ingest: ${fleet.agents} agents, round ${round} of ${fleet.rounds}`);
    await lake.duckDb.withSession(async (session) => {
      await session.run(
        "CREATE TEMP TABLE one AS SELECT * FROM walk WHERE device = 'device-000' ORDER BY time LIMIT 100",
      );
      for (let agent = 0; agent < fleet.agents; agent++) {
        const relation = `(SELECT * REPLACE ('agent-${agent}' AS device) FROM one
          LIMIT ${fleet.rows} OFFSET ${round * fleet.rows})`;
        await ship(lake, session, {
          relation,
          rows: fleet.rows,
          decimals: 2,
          ...keyOf(`agent-${agent}`, 'fleet', round),
        });
      }
    });
    const before = await requestCounts(lake.registry);
    secondsByRound.push(await drain(lake.ingester));
    note(`lake-ingest: ${secondsByRound.at(-1)?.toFixed(1) ?? ''} s`);
    const after = await requestCounts(lake.registry);
    requests = new Map(
      [...after].map(([operation, count]) => [operation, count - (before.get(operation) ?? 0)]),
    );
  }
  return { secondsByRound, requests };
}

/** Seconds until nothing waits. */
async function drain(ingester: Ingester): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    const { hasMore, failures } = await ingester.runOnce();
    if (failures.length > 0) throw new Error('ingest failed', { cause: failures[0]?.error });
    if (!hasMore) return (performance.now() - startedMs) / 1_000;
  }
}

function keyOf(agent: string, table: string, seq: number): InboxKey {
  return { agent, epoch: 'e1', lane: 'live', database: 'main', table, seq };
}

interface BenchShipment extends InboxKey {
  readonly relation: string;
  readonly rows: number;
  readonly decimals: number | undefined;
}

async function ship({ store, folder }: Lake, session: Session, shipment: BenchShipment): Promise<void> {
  const { relation, rows, decimals, ...key } = shipment;
  const names = ['humidity', 'power', 'pressure', 'temperature', 'voltage'];
  const metadata = formatShipmentMetadata({
    ...key,
    rowCount: rows,
    tags: ['device', 'site'],
    originalNames: {},
    firstLogSeq: 1,
    lastLogSeq: rows,
    ...(decimals !== undefined && { decimals: Object.fromEntries(names.map((name) => [name, decimals])) }),
  });
  const entries = [...metadata].map(([name, value]) => `${quoteText(name)}: ${quoteText(value)}`);
  const path = join(folder, 'shipments', `${key.agent}-${key.seq}.parquet`);
  await mkdir(join(folder, 'shipments'), { recursive: true });
  await session.run(`COPY (SELECT time, device, site, ${names.join(', ')} FROM ${relation} ORDER BY device, site, time)
    TO ${quoteText(path)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {${entries.join(', ')}})`);
  await store.putIfAbsent(formatInboxKey(key), { path });
}

/** By operation, from `varve_tsdb_store_requests_total`. */
async function requestCounts(registry: Registry): Promise<Map<string, number>> {
  const text = await registry.metrics();
  const lines = text.matchAll(/^varve_tsdb_store_requests_total\{op="([^"]*)"[^}]*\} (\d+)/gm);
  return new Map([...lines].map(([, operation = '', count]) => [operation, Number(count)]));
}
