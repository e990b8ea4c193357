/** `varve-tsdb serve` as it is installed, in its own process, asked over HTTP on one connection that stays open. */
import { rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DataType, tableFromIPC } from 'apache-arrow';
import { stringify } from 'yaml';
import { freePort, startProcess, waitFor, type Owner, type TestProcess } from '../../processes.js';
import type { BucketStore } from './bucket-lake.js';
import { checkOf, type Asked, type Contestant } from './contestant.js';
import { duckDbSql } from './dialects.js';
import type { Question } from './questions.js';

const tsdbCommand = fileURLToPath(new URL('../../../../tsdb/bin/varve-tsdb', import.meta.url));
const rowsMax = 1_000_000;

/** What an answer cost, by its own account. */
export interface Cost {
  /** Undefined where the answer does not say. */
  readonly files: number | undefined;
  readonly bytes: number | undefined;
  /** Undefined where no query was run for it. */
  readonly planMs: number | undefined;
  /** From the plan to the first row. */
  readonly firstMs: number | undefined;
  readonly bodyBytes: number;
}

/** Calls of the store, and bytes of objects read from it. */
export interface StoreReads {
  readonly gets: number;
  readonly heads: number;
  readonly lists: number;
  readonly bytes: number;
}

type Format = 'json' | 'arrow';

/** Asked for JSON. */
export interface Ours extends Contestant {
  /** Asked for Arrow: columns of binary values, as DuckDB alone has them. Of questions in SQL. */
  readonly asArrow: Contestant;
  /** Of the last time that it was asked. */
  readonly costs: ReadonlyMap<string, Cost>;
  /** Since the start. */
  storeReads(): Promise<StoreReads>;
  /** Stops the server, deletes all it keeps beside the lake, and starts it again. */
  restartEmpty(): Promise<void>;
}

/** @param store in `folder`, or elsewhere; what is kept beside it is in `folder` too, under a name of its own */
export async function openOurs(
  owner: Owner,
  folder: string,
  { store, dataDir }: { readonly store: string | BucketStore; readonly dataDir: string } = {
    store: './store',
    dataDir: 'serving',
  },
): Promise<Ours> {
  const port = await freePort();
  const config = { store, data_dir: `./${dataDir}`, listen: `127.0.0.1:${port}` };
  const configFile = `${dataDir}.yaml`;
  writeFileSync(join(folder, configFile), stringify(config));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  owner.after(() => {
    agent.destroy();
    return Promise.resolve();
  });
  const get = (path: string) => send(port, agent, path);
  const start = async () => {
    const started = startProcess(owner, tsdbCommand, ['serve', '--config', configFile], { cwd: folder });
    const isReady = async () => (await get('/readyz').catch(() => undefined))?.status === 200;
    await waitFor('tsdb to answer', isReady, 60_000, () => started.output);
    return started;
  };
  let server: TestProcess = await start();
  const costs = new Map<string, Cost>();
  const ask = async (question: Question, format: Format): Promise<Asked> => {
    const path = pathOf(question, format);
    const startedMs = performance.now();
    const { status, body, timing } = await get(path);
    const ms = performance.now() - startedMs;
    if (status !== 200) throw new Error(`${question.name}: ${status} ${body.toString()}`);
    const { cells, stats } = format === 'arrow' ? readArrow(body) : readJson(body);
    if (format === 'json') costs.set(question.name, { ...costOf(timing, stats), bodyBytes: body.length });
    return { ms, check: checkOf(cells) };
  };
  return {
    name: 'ours, warm',
    pid: () => server.pid,
    costs,
    ask: (question) => ask(question, 'json'),
    asArrow: {
      name: 'ours, as Arrow',
      pid: () => server.pid,
      ask: (question) =>
        typeof question.ours === 'object' ? Promise.resolve(undefined) : ask(question, 'arrow'),
    },
    storeReads: async () => readCounters((await get('/metrics')).body.toString()),
    restartEmpty: async () => {
      await server.stop();
      rmSync(join(folder, dataDir), { recursive: true, force: true });
      server = await start();
    },
  };
}

function pathOf({ ours, sql }: Question, format: Format): string {
  if (typeof ours === 'object') return ours.path;
  const text = ours ?? sql(duckDbSql);
  return `/api/v1/query?${new URLSearchParams({ sql: text, max_rows: String(rowsMax), format }).toString()}`;
}

/** It grows while one waits. */
const ageColumn = 'age_ms';

interface Body {
  readonly columns: readonly { readonly name: string }[];
  readonly rows: readonly (readonly unknown[])[];
  readonly stats?: { readonly files: number; readonly bytes: number };
}

function costOf(timing: string, stats: Body['stats']) {
  const partOf = (part: string) => {
    const text = new RegExp(`${part};dur=([\\d.]+)`).exec(timing)?.[1];
    return text === undefined ? undefined : Number(text);
  };
  return { files: stats?.files, bytes: stats?.bytes, planMs: partOf('plan'), firstMs: partOf('first') };
}

interface Read {
  readonly cells: readonly unknown[];
  readonly stats?: Body['stats'];
}

function readJson(body: Buffer): Read {
  const { columns, rows, stats } = JSON.parse(body.toString()) as Body;
  const age = columns.findIndex((column) => column.name === ageColumn);
  return { cells: rows.flatMap((row) => row.filter((_, index) => index !== age)), stats };
}

/** Times, which do not count, are numbers there. */
function readArrow(body: Buffer): Read {
  const table = tableFromIPC(body);
  const columns = table.schema.fields.flatMap(({ type }, index) =>
    DataType.isTimestamp(type) ? [] : ([...(table.getChildAt(index) ?? [])] as unknown[]),
  );
  return { cells: columns };
}

function readCounters(metrics: string): StoreReads {
  const sumOf = (name: string, operations: string) =>
    [...metrics.matchAll(new RegExp(`^${name}\\{op="(?:${operations})"\\} (\\d+)`, 'gm'))].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
  return {
    gets: sumOf('varve_tsdb_store_requests_total', 'get|download'),
    heads: sumOf('varve_tsdb_store_requests_total', 'head'),
    lists: sumOf('varve_tsdb_store_requests_total', 'list'),
    bytes: sumOf('varve_tsdb_store_bytes_total', 'get|download'),
  };
}

export function readsBetween(before: StoreReads, after: StoreReads): StoreReads {
  return {
    gets: after.gets - before.gets,
    heads: after.heads - before.heads,
    lists: after.lists - before.lists,
    bytes: after.bytes - before.bytes,
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
