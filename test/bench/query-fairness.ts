/**
 * `query-warm`: how much longer a question takes over HTTP than DuckDB alone takes for it, on the same files.
 * `query-fairness`: 64 clients that poll an hour of one series, by themselves, and while one client scans everything again
 * and again and another exports ten million rows as CSV.
 */
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { withOwner, type BenchOptions } from './bench-run.js';
import { readUsage } from './process-usage.js';
import { lakeDays, lakePath, memoryBytesMax } from './query-lake.js';
import type { Report } from './report.js';

interface Lake {
  readonly folder: string;
  readonly pid: number;
  /** The body's bytes. */
  readonly ask: (sql: string, format?: string, signal?: AbortSignal) => Promise<number>;
  readonly get: (path: string, signal?: AbortSignal) => Promise<number>;
}

async function withLake<T>(note: BenchOptions['note'], work: (lake: Lake) => Promise<T>): Promise<T> {
  return await withOwner(async (owner) => {
    const folder = await mkdtemp(join(tmpdir(), 'bench-query-'));
    owner.after(() => rm(folder, { recursive: true, force: true }));
    note('making 26 million values');
    const env = { ...process.env, UV_THREADPOOL_SIZE: '16' };
    const start = (...task: string[]) => {
      const child = fork(fileURLToPath(new URL('query-lake.js', import.meta.url)), [folder, ...task], {
        env,
      });
      const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
      owner.after(async () => {
        child.kill();
        await ended;
      });
      return { child, ended };
    };
    if ((await start('make').ended) !== 0) throw new Error('the files could not be made');
    const { child } = start();
    const port = await new Promise<number>((resolve, reject) => {
      child.once('message', (message) => resolve((message as { port: number }).port));
      child.once('exit', () => reject(new Error('the server ended')));
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 100 });
    owner.after(() => {
      agent.destroy();
      return Promise.resolve();
    });
    const get: Lake['get'] = (path, signal) =>
      new Promise((resolve, reject) => {
        const asked = request({ port, agent, path, ...(signal && { signal }) }, (response) => {
          let bytes = 0;
          response.on('data', (part: Buffer) => (bytes += part.length));
          response.on('end', () =>
            response.statusCode === 200
              ? resolve(bytes)
              : reject(new Error(`${response.statusCode} for ${path}`)),
          );
          response.on('error', reject);
        });
        asked.on('error', reject).end();
      });
    const ask: Lake['ask'] = (sql, format = 'json', signal) =>
      get(`/api/v1/query?${new URLSearchParams({ sql, format, timeout: '10m' }).toString()}`, signal);
    return await work({ folder, pid: child.pid ?? 0, ask, get });
  });
}

const questions: readonly [name: string, sql: string][] = [
  [
    'one series, an hour, raw',
    "select time, f1 from readings where device = 'dev-042' and time >= '2026-01-02 10:00' and time < '2026-01-02 11:00'",
  ],
  [
    'one series, a day, 1-minute means',
    "select time_bucket(interval 1 minute, time) as t, avg(f1) as m from readings where device = 'dev-042' and time >= '2026-01-02' and time < '2026-01-03' group by 1 order by 1",
  ],
  [
    'all, a day, hourly by site',
    "select time_bucket(interval 1 hour, time) as t, site, avg(f1) as m from readings where time >= '2026-01-02' and time < '2026-01-03' group by all order by all",
  ],
  ['count of all', 'select count(*) from readings'],
];

export async function benchQueryWarm({ note }: BenchOptions): Promise<Report> {
  return await withLake(note, async ({ folder, ask }) => {
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    await connection.run("SET TimeZone = 'UTC'");
    await connection.run('SET parquet_metadata_cache = true');
    const alone = async (sql: string) => {
      const days = sql.includes('2026') ? lakeDays.slice(1, 2) : lakeDays;
      const from = `read_parquet([${days.map((day) => `'${lakePath(folder, day)}'`).join(', ')}])`;
      await connection.runAndReadAll(sql.replace('readings', from));
    };
    const rows: (string | number)[][] = [];
    for (const [name, sql] of questions) {
      note(name);
      const times: { ours: number[]; alone: number[] } = { ours: [], alone: [] };
      // In turns, so that both see the same machine.
      for (let run = 0; run < 30; run++) {
        times.ours.push(await timed(() => ask(sql)));
        times.alone.push(await timed(() => alone(sql)));
      }
      const [ours, other] = [percentile(times.ours.slice(5), 0.5), percentile(times.alone.slice(5), 0.5)];
      rows.push([name, ours, percentile(times.ours.slice(5), 0.99), other, ours - (1.2 * other + 2)]);
    }
    const columns = ['question', 'ours p50, ms', 'ours p99', 'DuckDB alone p50', 'over 1.2 × + 2 ms'];
    return {
      bench: 'query-warm',
      tables: [
        {
          title: 'Warm, over HTTP as JSON, against DuckDB alone on the files that hold the answer',
          columns,
          rows,
        },
      ],
      findings: [
        `${rows.filter(([, , , , over]) => Number(over) > 0).length} of ${rows.length} are over 1.2 × DuckDB alone + 2 ms`,
      ],
    };
  });
}

const clientCount = 64;
const phaseMs = 10_000;
const scanSql =
  'select device, quantile_cont(f1, 0.5), quantile_cont(f2, 0.9), stddev(f3) from readings group by device';
const exportSql = 'select * from readings union all select * from readings';

export async function benchQueryFairness({ note }: BenchOptions): Promise<Report> {
  return await withLake(note, async ({ pid, ask, get }) => {
    const idleMb = readUsage(pid).residentMb;
    await poll(get, 2_000);
    note('64 clients by themselves');
    const alone = await poll(get, phaseMs);
    note('with a scan and an export');
    const ended = new AbortController();
    let scans = 0;
    const scanning = (async () => {
      for (; !ended.signal.aborted; scans++) await ask(scanSql, 'json', ended.signal);
    })().catch(() => undefined);
    const exportStarted = performance.now();
    let exportBytes = 0;
    const exporting = ask(exportSql, 'csv').then((bytes) => (exportBytes = bytes));
    const isOver = { value: false };
    void exporting.finally(() => (isOver.value = true));
    const loaded = await poll(get, 300_000, isOver);
    await exporting;
    const exportSeconds = (performance.now() - exportStarted) / 1_000;
    ended.abort();
    await scanning;
    const [p99Alone, p99Loaded] = [percentile(alone, 0.99), percentile(loaded, 0.99)];
    const peakMb = readUsage(pid).peakResidentMb;
    const row = (name: string, times: number[]) => [
      name,
      times.length,
      percentile(times, 0.5),
      percentile(times, 0.99),
    ];
    return {
      bench: 'query-fairness',
      tables: [
        {
          title: '64 clients polling an hour of one series each, /range',
          columns: ['', 'answers', 'p50, ms', 'p99, ms'],
          rows: [row('by themselves', alone), row('with a scan and an export', loaded)],
        },
      ],
      findings: [
        `p99 is ${(p99Loaded / p99Alone).toFixed(1)} times what it is alone; target ≤ 10`,
        `the export: ${(exportBytes / 1e6).toFixed(0)} MB in ${exportSeconds.toFixed(0)} s; meanwhile ${scans} scans were done`,
        `queries took at most ${(peakMb - idleMb).toFixed(0)} MB, limit ${memoryBytesMax / 1e6} MB; with the program itself ${peakMb.toFixed(0)} MB resident`,
      ],
    };
  });
}

async function poll(get: Lake['get'], forMs: number, isOver = { value: false }): Promise<number[]> {
  const times: number[] = [];
  const untilMs = performance.now() + forMs;
  const client = async (number: number) => {
    while (performance.now() < untilMs && !isOver.value) {
      const device = `dev-${String((number * 3) % 200).padStart(3, '0')}`;
      const hour = 'start=2026-01-02T10:00:00Z&end=2026-01-02T11:00:00Z';
      times.push(await timed(() => get(`/api/v1/range?table=readings&device=${device}&columns=f1&${hour}`)));
    }
  };
  await Promise.all(Array.from({ length: clientCount }, (_, number) => client(number)));
  return times;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function percentile(times: readonly number[], part: number): number {
  const sorted = times.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
