/**
 * Two weeks without a store, compressed: messages pile up in the agent's log, 25,000 a second, then the store comes back. Whether all of them arrive, how soon the newest are there, and what memory it took.
 *
 * The messages carry times over two weeks, so that every row is its own (tags, time); what is published after the store has
 * come back is numbered on.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { systemClock } from '@varve/common/clock.js';
import { startPlantedS3Server, type PlantedS3Server } from '@varve/common/store/planted-s3-server.js';
import { Installation, temporaryFolder } from '../installation.js';
import { freePort, waitFor, type Owner } from '../processes.js';
import { startTcpProxy } from '../tcp-proxy.js';
import { withOwner, type BenchOptions } from './bench-run.js';
import type { PlainMessage } from './mqtt-packets.js';
import { PacedBroker } from './paced-broker.js';
import { readUsage } from './process-usage.js';
import { verdict, type Report } from './report.js';

const twoWeeksMs = 14 * 86_400_000;
const devices = 60;
const startMs = Date.UTC(2026, 0, 1);
const livePerSecond = 100;
/** Thousands of times what a gateway has in its life; more, and it would have minutes to catch up with, not weeks. */
const perSecondMax = 25_000;
const freshMsMax = 10_000;
const residentMbMax = 200;
const limitMs = 3_600_000;
const chunkMessages = 200_000;

interface Found {
  readonly bufferedPerSecond: number;
  readonly bufferMb: number;
  readonly freshAfterMs: number;
  readonly shippedPerSecond: number;
  readonly messages: number;
  readonly rows: number;
  readonly distinct: number;
  readonly peakBufferingMb: number;
  readonly peakMb: number;
}

export async function benchEdgeOffline({ offlineMessages, note }: BenchOptions): Promise<Report> {
  const found = await withOwner((owner) => goOffline(owner, offlineMessages, note));
  const { messages, rows, distinct, peakMb, freshAfterMs } = found;
  const isAllThere = rows === messages && distinct === messages;
  return {
    bench: 'edge-offline',
    tables: [
      {
        title: `${offlineMessages} messages while the store was away, ${messages - offlineMessages} after it came back`,
        columns: ['', 'messages/s', 'peak RSS MB'],
        rows: [
          ['buffered', found.bufferedPerSecond, found.peakBufferingMb],
          ['shipped', found.shippedPerSecond, peakMb],
        ],
      },
    ],
    findings: [
      `${messages} messages acknowledged, ${rows} rows in the store, ${distinct} different: ${verdict(isAllThere)}`,
      `a message that came after the store was in it after ${(freshAfterMs / 1_000).toFixed(1)} s, target ≤ ${freshMsMax / 1_000}: ${verdict(freshAfterMs <= freshMsMax)}`,
      `highest ever ${peakMb.toFixed(0)} MB resident, target ≤ ${residentMbMax}: ${verdict(peakMb <= residentMbMax)}`,
      `the buffer took ${found.bufferMb.toFixed(0)} MB: ${((found.bufferMb * 1e6) / offlineMessages).toFixed(1)} bytes a message`,
    ],
  };
}

async function goOffline(owner: Owner, count: number, note: (text: string) => void): Promise<Found> {
  // The server takes any; the SDK wants some.
  process.env['AWS_ACCESS_KEY_ID'] ??= 'bench';
  process.env['AWS_SECRET_ACCESS_KEY'] ??= 'bench';
  const s3 = await startPlantedS3Server();
  owner.after(() => {
    s3.close();
    return Promise.resolve();
  });
  const linePort = await freePort();
  const broker = await PacedBroker.start(owner);
  const installation = await Installation.create(owner, {
    brokerUrl: broker.url,
    streams: {
      environment: { topic: 'plant/{device}/environment', format: 'json', time: { path: 'ts', unit: 'ms' } },
    },
    store: {
      url: 's3://bench',
      endpoint: `http://127.0.0.1:${linePort}`,
      region: 'us-east-1',
      path_style: true,
    },
    ship: { every: '1s' },
    isBench: true,
  });
  installation.startAgent();
  await broker.subscribed();
  const pid = installation.agent?.pid ?? 0;

  const stepMs = twoWeeksMs / count;
  const begunMs = systemClock.monotonicMs();
  for (let sent = 0; sent < count; sent += chunkMessages) {
    await broker.flood(numbered(sent, Math.min(count, sent + chunkMessages), stepMs), perSecondMax);
    note(
      `${Math.min(count, sent + chunkMessages)} of ${count} acknowledged, ${Math.round(readUsage(pid).residentMb)} MB`,
    );
  }
  const bufferedMs = systemClock.monotonicMs() - begunMs;
  const bufferMb = ((await installation.agentStatus())?.buffer.bytes ?? NaN) / 1e6;
  const peakBufferingMb = readUsage(pid).peakResidentMb;

  await startTcpProxy(owner, Number(new URL(s3.endpoint).port), linePort);
  const backMs = systemClock.monotonicMs();
  const fresh = new AbortController();
  let messages = count;
  const publishing = (async () => {
    while (!fresh.signal.aborted) {
      await broker.send(numbered(messages, messages + livePerSecond, stepMs), livePerSecond);
      messages += livePerSecond;
    }
  })();
  const lake = await Lake.open(owner, s3);
  let freshAfterMs = NaN;
  await waitFor(
    'everything to be in the store',
    async () => {
      await lake.takeNew();
      if (Number.isNaN(freshAfterMs) && (await lake.highest()) >= count) {
        freshAfterMs = systemClock.monotonicMs() - backMs;
        fresh.abort();
        note(`the newest are there after ${Math.round(freshAfterMs)} ms`);
      }
      if (!fresh.signal.aborted) return false;
      const status = await installation.agentStatus();
      return status?.outbox.shipments === 0 && status.log.waiting_messages === 0;
    },
    limitMs,
  );
  const shippedMs = systemClock.monotonicMs() - backMs;
  await publishing;
  await waitFor(
    'the last of them',
    async () => {
      await lake.takeNew();
      return (await lake.count()) >= messages;
    },
    60_000,
  );
  return {
    bufferedPerSecond: (count * 1_000) / bufferedMs,
    bufferMb,
    freshAfterMs,
    shippedPerSecond: (messages * 1_000) / shippedMs,
    messages,
    rows: await lake.count(),
    distinct: await lake.countDistinct(),
    peakBufferingMb,
    peakMb: readUsage(pid).peakResidentMb,
  };
}

function* numbered(first: number, end: number, stepMs: number): Generator<PlainMessage> {
  for (let n = first; n < end; n++) {
    const ts = Math.round(startMs + n * stepMs);
    const temperature = 20 + (n % 977) / 100;
    yield {
      topic: `plant/press-${n % devices}/environment`,
      payload: `{"ts":${ts},"n":${n},"temperature":${temperature}}`,
    };
  }
}

/** What the store has, as DuckDB sees it. */
class Lake {
  readonly #s3: PlantedS3Server;
  readonly #dir: string;
  readonly #db: DuckDBConnection;
  readonly #taken = new Set<string>();

  private constructor(s3: PlantedS3Server, dir: string, db: DuckDBConnection) {
    this.#s3 = s3;
    this.#dir = dir;
    this.#db = db;
  }

  static async open(owner: Owner, s3: PlantedS3Server): Promise<Lake> {
    const instance = await DuckDBInstance.create(':memory:');
    const db = await instance.connect();
    await db.run('CREATE TABLE readings (n BIGINT)');
    owner.after(() => {
      db.closeSync();
      instance.closeSync();
      return Promise.resolve();
    });
    return new Lake(s3, temporaryFolder(owner), db);
  }

  /** Objects that came since, which the server may forget then. */
  async takeNew(): Promise<void> {
    for (const [key, bytes] of this.#s3.objects) {
      if (!key.includes('/inbox/') && !key.startsWith('inbox/')) continue;
      if (this.#taken.has(key)) continue;
      this.#taken.add(key);
      const path = join(this.#dir, `${this.#taken.size}.parquet`);
      writeFileSync(path, bytes);
      await this.#db.run(`INSERT INTO readings SELECT n FROM read_parquet('${path}')`);
    }
  }

  highest = () => this.#number('SELECT coalesce(max(n), -1) FROM readings');
  count = () => this.#number('SELECT count(*) FROM readings');
  countDistinct = () => this.#number('SELECT count(DISTINCT n) FROM readings');

  async #number(sql: string): Promise<number> {
    const [row] = (await this.#db.runAndReadAll(sql)).getRows();
    return Number(row?.[0]);
  }
}
