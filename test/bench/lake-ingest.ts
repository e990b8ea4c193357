/**
 * `lake-ingest`: from the inbox to committed rows (DESIGN §8), with tsdb's own ingester on a store that counts requests.
 *
 * 1. Throughput: shipments of 50,000 rows and five fields, as agents make them of a backlog, until the inbox is empty.
 * 2. Many agents: 1,000 of them with a shipment of ten rows every 10 s each. The inbox stays empty if a round of all of
 *    them takes less than that. Its requests, by kind, tell what a day costs.
 *
 * Shipments are made by DuckDB with the columns, order and metadata of the contract; agents' own are a little larger.
 */
import type { InboxKey } from '@varve/common/contract/object-keys.js';
import type { Registry } from '@varve/common/metrics.js';
import { temporaryFolder } from '../installation.js';
import type { Owner } from '../processes.js';
import { drain, openLake, ship } from './bench-lake.js';
import { withOwner, type BenchOptions } from './bench-run.js';
import { createWalks, devices, everySeconds, firstDayMs, valuesPerRow } from './random-walks.js';
import { verdict, type Cell, type Report } from './report.js';

const throughput = { shipments: 20, rows: 50_000, target: 1e6 };
/** So long that all devices together make a shipment's rows. */
const shipmentMs = (throughput.rows / devices) * everySeconds * 1_000;
const fields = ['humidity', 'power', 'pressure', 'temperature', 'voltage'];
const fleet = { agents: 1_000, rows: 10, rounds: 2, everySeconds: 10 };

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

async function measureRate(owner: Owner, note: BenchOptions['note']) {
  const lake = await openLake(owner, temporaryFolder(owner));
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
          fields,
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
  const lake = await openLake(owner, temporaryFolder(owner));
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
          fields,
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

function keyOf(agent: string, table: string, seq: number): InboxKey {
  return { agent, epoch: 'e1', lane: 'live', database: 'main', table, seq };
}

/** By operation, from `varve_tsdb_store_requests_total`. */
async function requestCounts(registry: Registry): Promise<Map<string, number>> {
  const text = await registry.metrics();
  const lines = text.matchAll(/^varve_tsdb_store_requests_total\{op="([^"]*)"[^}]*\} (\d+)/gm);
  return new Map([...lines].map(([, operation = '', count]) => [operation, Number(count)]));
}
