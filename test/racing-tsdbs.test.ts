/**
 * Two real tsdb, without a lease, race on one real S3 server; a proxy in front of it loses the answers of puts that have
 * landed. Every row is there once, and the log is whole.
 */
import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { formatInboxKey } from '@varve/common/contract/object-keys.js';
import { S3Store } from '@varve/common/store/s3-store.js';
import type { Store } from '@varve/common/store/store.js';
import { DeltaLog, type Commit } from '@varve/tsdb/delta/delta-log.js';
import {
  noonUs,
  TestLake,
  type ShipmentRow,
  type TestShipment,
} from '@varve/tsdb/ingest/lake.test.fixture.js';
import { stringify } from 'yaml';
import { temporaryFolder, startTsdb } from './installation.js';
import { freePort, waitFor, type TestProcess } from './processes.js';
import { s3, skipWithoutS3 } from './requirements.js';
import { calm, startFaultProxy } from './torture/fault-proxy.js';
import { seededRandom } from './torture/seeded-random.js';

const name = { database: 'main', table: 'climate' };
const agents = ['a', 'b', 'c'];
const seqMax = 7;
const rowsPerShipment = 20;
const lostPuts = 0.7;

/** New rows, and from the second on half of those before once more, with another value: late rows, which rewrite files. */
function shipmentOf(agent: string, seq: number): TestShipment {
  const rows = Array.from({ length: rowsPerShipment }, (_, index): ShipmentRow => {
    const place =
      seq === 1 || index % 2 === 0 ? seq * rowsPerShipment + index : (seq - 1) * rowsPerShipment + index - 1;
    return { time: noonUs + place * 1_000_000, device: `${agent}-${index % 3}`, v: seq * 1_000 + index };
  });
  return { agent, seq, rows };
}

function expectedRows(): string[] {
  const rows = new Map<string, string>();
  for (const agent of agents)
    for (let seq = 1; seq <= seqMax; seq += 1)
      for (const { time, device, v } of shipmentOf(agent, seq).rows)
        rows.set(`${time} ${String(device)}`, String(v));
  return [...rows].map(([key, v]) => `${key} ${v}`).sort();
}

interface Racer {
  readonly program: TestProcess;
  readonly url: string;
}

async function startRacer(context: TestContext, store: unknown): Promise<Racer> {
  const dir = temporaryFolder(context);
  const listen = `127.0.0.1:${await freePort()}`;
  const config = {
    ...{ store, listen, lease: false, data_dir: './data', cache: { disk: '1GB', memory: '256MB' } },
    ...{ ingest: { every: '100ms' }, compact: { every: '1s' } },
  };
  writeFileSync(join(dir, 'tsdb.yaml'), stringify(config));
  const program = startTsdb(context, ['serve', '--config', join(dir, 'tsdb.yaml')]);
  return { program, url: `http://${listen}` };
}

async function rowsSeenBy({ url, program }: Racer): Promise<string[]> {
  const sql = 'select epoch_us(time), device, v from climate';
  const answer = await fetch(`${url}/api/v1/query`, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify({ sql, max_rows: 100_000 }),
  });
  const { rows } = (await answer.json()) as { rows?: unknown[][] };
  assert(rows, program.output);
  return rows.map((row) => row.map(String).join(' ')).sort();
}

/** Contiguous, or this throws. */
async function readLog(store: Store): Promise<Commit[]> {
  const commits: Commit[] = [];
  for await (const commit of new DeltaLog(store, systemClock).readTail(name, -1)) commits.push(commit);
  return commits;
}

/** By lane, the seqs that commits say they end with, in order. */
function seqsByLane(commits: readonly Commit[]): Map<string, number[]> {
  const byLane = new Map<string, number[]>();
  for (const { actions } of commits)
    for (const action of actions)
      if ('txn' in action)
        byLane.set(action.txn.appId, [...(byLane.get(action.txn.appId) ?? []), action.txn.version]);
  return byLane;
}

const shipmentsIn = (commits: readonly Commit[]) =>
  [...seqsByLane(commits).values()].reduce((sum, seqs) => sum + (seqs.at(-1) ?? 0), 0);

async function commitsOf({ url }: Racer): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^varve_tsdb_commit_seconds_count (\d+)$/m.exec(text)?.[1] ?? 0);
}

function openStore(context: TestContext, url: string, endpoint: string): Store {
  const store = S3Store.open({ url, endpoint, pathStyle: true });
  context.after(async () => {
    for await (const { key } of store.list('')) await store.delete([key]);
    store.close();
  });
  return store;
}

const options = { skip: skipWithoutS3(), timeout: 240_000 };

test(
  'two tsdb race, and answers of puts are lost: every row once, no version lost',
  options,
  async (context) => {
    const { endpoint, bucket } = s3() ?? assert.fail();
    const proxy = await startFaultProxy(context, new URL(endpoint), seededRandom(1));
    const url = `s3://${bucket}/race-${randomUUID()}`;
    const store = openStore(context, url, endpoint);
    const config = { url, endpoint: proxy.url, region: 'us-east-1', path_style: true };
    const racers = await Promise.all([startRacer(context, config), startRacer(context, config)]);
    for (const { program } of racers) await program.waitForOutput(/"answering"/, 60_000);
    proxy.setWeather({ ...calm, lostPuts });
    const workshop = await TestLake.open();
    context.after(() => workshop.close());
    const outputs = () => racers.map(({ program }) => program.output.slice(-5_000)).join('\n');
    for (let seq = 1; seq <= seqMax; seq += 1) {
      for (const agent of agents) {
        const key = formatInboxKey({ ...name, agent, epoch: 'e1', lane: 'data', seq });
        await store.putIfAbsent(key, await workshop.parquet(shipmentOf(agent, seq)));
      }
      // One wave is on its way while the next is written: many small commits, so that they meet.
      const sum = agents.length * (seq === seqMax ? seq : seq - 1);
      const isIn = async () => shipmentsIn(await readLog(store)) >= sum;
      await waitFor(`${sum} shipments to be in`, isIn, 60_000, outputs);
    }
    proxy.setWeather(calm);
    const commits = await readLog(store);
    for (const [lane, seqs] of seqsByLane(commits))
      assert.deepEqual(
        seqs,
        [...new Set(seqs)].sort((left, right) => left - right),
        lane,
      );
    for (const racer of racers)
      await waitFor(
        'both to see it',
        async () => (await rowsSeenBy(racer)).length === expectedRows().length,
        30_000,
      );
    for (const racer of racers) assert.deepEqual(await rowsSeenBy(racer), expectedRows());
    const shares = await Promise.all(racers.map(commitsOf));
    const lost = proxy.fates.get('lost') ?? 0;
    context.diagnostic(
      `${commits.length} commits, of them ${shares.join(' and ')} of shipments; ${lost} answers lost`,
    );
    for (const { program } of racers) assert.deepEqual(await program.stop(), { code: 0, signal: null });
    assert(lost >= 3, `only ${lost} answers were lost`);
  },
);
