/**
 * Time-series stores from Debian, where the machine has them, with the rows of `walk`: each its own process on a free port of
 * the loopback with its own folder, ended by its id. Packages: postgresql, influxdb, victoria-metrics.
 */
import { openAsBlob, statSync, writeFileSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { quotePath } from '@varve/tsdb/delta/sql-text.js';
import { temporaryFolder } from '../../installation.js';
import { freePort, startProcess, waitFor, type Owner } from '../../processes.js';
import { checkOf, type Contestant } from './contestant.js';
import type { FilesOf } from './engines.js';
import { openPostgreSql } from './postgresql.js';
import { walkFields, type Question } from './questions.js';

const run = promisify(execFile);
const postBytes = 1_000_000;

/** Who is missing is said. */
export async function openPeers(
  owner: Owner,
  filesOf: FilesOf,
  note: (text: string) => void,
): Promise<Contestant[]> {
  const folder = temporaryFolder(owner);
  const rows = `read_parquet([${filesOf('walk', 'all').map(quotePath).join(', ')}], hive_partitioning = false)`;
  const peers: Contestant[] = [];
  const postgres = await findPostgreSql();
  if (postgres) {
    note('PostgreSQL takes in the rows');
    const csv = join(folder, 'walk.csv');
    await copyOut(`SELECT time, device, site, ${walkFields.join(', ')} FROM ${rows}`, csv, 'HEADER false');
    peers.push(await openPostgreSql(owner, postgres, csv));
  } else note('PostgreSQL is missing: apt install postgresql');
  const [influx, victoria] = [await isInstalled('influxd'), await isInstalled('victoria-metrics')];
  if (!influx) note('InfluxDB is missing: apt install influxdb');
  if (!victoria) note('VictoriaMetrics is missing: apt install victoria-metrics');
  if (!influx && !victoria) return peers;
  const lines = join(folder, 'walk.lines');
  const fields = walkFields.map((field) => `'${field}=' || ${field}`).join(" || ',' || ");
  const line = `'walk,device=' || device || ',site=' || site || ' ' || ${fields} || ' ' || epoch_ns(time)`;
  await copyOut(
    `SELECT ${line} FROM (SELECT * FROM ${rows} ORDER BY time)`,
    lines,
    "HEADER false, QUOTE '', ESCAPE '', DELIM '|'",
  );
  if (influx) {
    note('InfluxDB takes in the rows');
    peers.push(await openInflux(owner, join(folder, 'influx'), lines));
  }
  if (victoria) {
    note('VictoriaMetrics takes in the rows');
    peers.push(await openVictoria(owner, join(folder, 'victoria'), lines));
  }
  return peers;
}

async function copyOut(select: string, path: string, options: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  await connection.run(`COPY (${select}) TO ${quotePath(path)} (FORMAT csv, ${options})`);
  connection.closeSync();
  instance.closeSync();
}

async function isInstalled(command: string): Promise<boolean> {
  return await run('which', [command]).then(
    () => true,
    () => false,
  );
}

/** The folder of PostgreSQL's programs: Debian has them not on the path. */
async function findPostgreSql(): Promise<string | undefined> {
  for (let version = 18; version >= 13; version--) {
    const folder = `/usr/lib/postgresql/${version}/bin`;
    const isThere = await access(join(folder, 'initdb')).then(
      () => true,
      () => false,
    );
    if (isThere) return folder;
  }
  return undefined;
}

type Get = (path: string) => Promise<string>;

async function openInflux(owner: Owner, folder: string, lines: string): Promise<Contestant> {
  const [port, rpcPort] = [await freePort(), await freePort()];
  const config = `${folder}.conf`;
  writeFileSync(
    config,
    `reporting-disabled = true
bind-address = "127.0.0.1:${rpcPort}"
[meta]
  dir = "${folder}/meta"
[data]
  dir = "${folder}/data"
  wal-dir = "${folder}/wal"
  index-version = "tsi1"
  query-log-enabled = false
  cache-snapshot-write-cold-duration = "2s"
  compact-full-write-cold-duration = "5s"
[http]
  bind-address = "127.0.0.1:${port}"
  log-enabled = false
[monitor]
  store-enabled = false
`,
  );
  const started = startProcess(owner, 'influxd', ['-config', config]);
  const get = httpClient(owner, port);
  await waitFor(
    'InfluxDB to answer',
    () => get('/query?q=SHOW%20DATABASES').catch(() => undefined),
    60_000,
    () => started.output,
  );
  await fetch(`http://127.0.0.1:${port}/query?q=CREATE%20DATABASE%20bench`, { method: 'POST' });
  await postLines(`http://127.0.0.1:${port}/write?db=bench`, lines);
  interface Answer {
    readonly results: readonly { readonly series?: readonly { readonly values: unknown[][] }[] }[];
  }
  const cellsOf = (text: string) =>
    ((JSON.parse(text) as Answer).results[0]?.series ?? []).flatMap(({ values }) =>
      values.flatMap((row) => row.slice(1)),
    );
  const pathOf = ({ influxQl }: Question) =>
    influxQl && `/query?db=bench&epoch=ms&q=${encodeURIComponent(influxQl)}`;
  return { name: 'InfluxDB 1', pid: () => started.pid, ask: askBy(get, pathOf, cellsOf) };
}

async function openVictoria(owner: Owner, folder: string, lines: string): Promise<Contestant> {
  const port = await freePort();
  const options = [
    `-storageDataPath=${folder}`,
    `-httpListenAddr=127.0.0.1:${port}`,
    '-retentionPeriod=100y',
  ];
  const started = startProcess(owner, 'victoria-metrics', options);
  const get = httpClient(owner, port);
  await waitFor(
    'VictoriaMetrics to answer',
    () => get('/health').catch(() => undefined),
    60_000,
    () => started.output,
  );
  await postLines(`http://127.0.0.1:${port}/write`, lines);
  await get('/internal/force_flush');
  await get('/internal/force_merge');
  interface Answer {
    readonly data: {
      readonly result: readonly { readonly value?: [number, string]; readonly values?: [number, string][] }[];
    };
  }
  const cellsOf = (text: string) =>
    (JSON.parse(text) as Answer).data.result.flatMap(({ value, values }) =>
      (values ?? (value ? [value] : [])).map(([, cell]) => Number(cell)),
    );
  const pathOf = ({ promQl }: Question) => {
    if (!promQl) return undefined;
    const { query, startMs, endMs, stepSeconds } = promQl;
    const asked = new URLSearchParams({ query, nocache: '1' });
    if (startMs === undefined) asked.set('time', String(endMs / 1_000));
    else {
      asked.set('start', String(startMs / 1_000));
      asked.set('end', String(endMs / 1_000));
      asked.set('step', `${stepSeconds}s`);
    }
    return `/api/v1/query${startMs === undefined ? '' : '_range'}?${asked.toString()}`;
  };
  return { name: 'VictoriaMetrics', pid: () => started.pid, ask: askBy(get, pathOf, cellsOf) };
}

function askBy(
  get: Get,
  pathOf: (question: Question) => string | undefined,
  cellsOf: (text: string) => unknown[],
): Contestant['ask'] {
  return async (question) => {
    const path = pathOf(question);
    if (!path) return undefined;
    const startedMs = performance.now();
    const text = await get(path);
    const ms = performance.now() - startedMs;
    return { ms, check: checkOf(cellsOf(text)) };
  };
}

/** One connection that stays open. */
function httpClient(owner: Owner, port: number): Get {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  owner.after(() => {
    agent.destroy();
    return Promise.resolve();
  });
  return (path) =>
    new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, agent, path }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(parts).toString();
          if ((response.statusCode ?? 500) < 300) resolve(text);
          else reject(new Error(`${response.statusCode}: ${text}`));
        });
      });
      asked.on('error', reject).end();
    });
}

/** Piece by piece, each of whole lines. */
async function postLines(url: string, path: string): Promise<void> {
  const file = await openAsBlob(path);
  const { size } = statSync(path);
  for (let start = 0; start < size;) {
    const piece = Buffer.from(await file.slice(start, start + postBytes).arrayBuffer());
    const end = start + postBytes >= size ? piece.length : piece.lastIndexOf(10) + 1;
    const response = await fetch(url, { method: 'POST', body: piece.subarray(0, end) });
    if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
    start += end;
  }
}
