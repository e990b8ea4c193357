/** `varve-tsdb serve` as it is installed, in its own process, asked over HTTP on one connection that stays open. */
import { rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { freePort, startProcess, waitFor, type Owner, type TestProcess } from '../../processes.js';
import { checkOf, type Asked, type Contestant } from './contestant.js';
import { duckDbSql } from './dialects.js';
import type { Question } from './questions.js';

const tsdbCommand = fileURLToPath(new URL('../../../../tsdb/bin/varve-tsdb', import.meta.url));
const rowsMax = 1_000_000;

/** What an answer cost, by its own account. */
export interface Cost {
  readonly files: number;
  readonly bytes: number;
  /** Undefined where no query was run for it. */
  readonly planMs: number | undefined;
  /** From the plan to the first row. */
  readonly firstMs: number | undefined;
  readonly bodyBytes: number;
}

export interface Ours extends Contestant {
  /** Of the last time that it was asked. */
  readonly costs: ReadonlyMap<string, Cost>;
  /** Calls of the store and bytes of objects read from it, since the start. */
  storeReads(): Promise<{ requests: number; bytes: number }>;
  /** Stops the server, deletes all it keeps beside the lake, and starts it again. */
  restartEmpty(): Promise<void>;
}

export async function openOurs(owner: Owner, folder: string): Promise<Ours> {
  const port = await freePort();
  const config = { store: './store', data_dir: './serving', listen: `127.0.0.1:${port}` };
  writeFileSync(join(folder, 'tsdb.yaml'), stringify(config));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  owner.after(() => {
    agent.destroy();
    return Promise.resolve();
  });
  const get = (path: string) => send(port, agent, path);
  const start = async () => {
    const started = startProcess(owner, tsdbCommand, ['serve', '--config', 'tsdb.yaml'], { cwd: folder });
    const isReady = async () => (await get('/readyz').catch(() => undefined))?.status === 200;
    await waitFor('tsdb to answer', isReady, 60_000, () => started.output);
    return started;
  };
  let server: TestProcess = await start();
  const costs = new Map<string, Cost>();
  return {
    name: 'ours, warm',
    pid: () => server.pid,
    costs,
    ask: async (question) => {
      const path = pathOf(question);
      const startedMs = performance.now();
      const { status, body, timing } = await get(path);
      const ms = performance.now() - startedMs;
      if (status !== 200) throw new Error(`${question.name}: ${status} ${body.toString()}`);
      return read(question, body, timing, ms, costs);
    },
    storeReads: async () => readCounters((await get('/metrics')).body.toString()),
    restartEmpty: async () => {
      await server.stop();
      rmSync(join(folder, 'serving'), { recursive: true, force: true });
      server = await start();
    },
  };
}

function pathOf({ ours, sql }: Question): string {
  if (typeof ours === 'object') return ours.path;
  const text = ours ?? sql(duckDbSql);
  return `/api/v1/query?${new URLSearchParams({ sql: text, max_rows: String(rowsMax) }).toString()}`;
}

/** It grows while one waits. */
const ageColumn = 'age_ms';

interface Body {
  readonly columns: readonly { readonly name: string }[];
  readonly rows: readonly (readonly unknown[])[];
  readonly stats?: { readonly files: number; readonly bytes: number };
}

function read({ name }: Question, body: Buffer, timing: string, ms: number, costs: Map<string, Cost>): Asked {
  const { columns, rows, stats } = JSON.parse(body.toString()) as Body;
  const age = columns.findIndex((column) => column.name === ageColumn);
  const partOf = (part: string) => {
    const text = new RegExp(`${part};dur=([\\d.]+)`).exec(timing)?.[1];
    return text === undefined ? undefined : Number(text);
  };
  costs.set(name, {
    files: stats?.files ?? 0,
    bytes: stats?.bytes ?? 0,
    planMs: partOf('plan'),
    firstMs: partOf('first'),
    bodyBytes: body.length,
  });
  return { ms, check: checkOf(rows.flatMap((row) => row.filter((_, index) => index !== age))) };
}

function readCounters(metrics: string): { requests: number; bytes: number } {
  const sumOf = (name: string, operations: string) =>
    [...metrics.matchAll(new RegExp(`^${name}\\{op="(?:${operations})"\\} (\\d+)`, 'gm'))].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
  return {
    requests: sumOf('varve_tsdb_store_requests_total', 'get|download|head'),
    bytes: sumOf('varve_tsdb_store_bytes_total', 'get|download'),
  };
}

interface Response {
  readonly status: number;
  readonly body: Buffer;
  readonly timing: string;
}

function send(port: number, agent: Agent, path: string): Promise<Response> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, agent, path }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(parts),
          timing: String(response.headers['server-timing'] ?? ''),
        }),
      );
    });
    asked.on('error', reject).end();
  });
}
