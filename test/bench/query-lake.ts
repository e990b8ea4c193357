/**
 * The server that `query-warm` and `query-fairness` ask, in a process of its own, over three files of one table: 200 devices,
 * five fields, a value every 10 s for three days, 26 million values. Its arguments are the folder, and `make` for a process that
 * only makes the files: what that takes is not the server's memory.
 */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { systemClock } from '@varve/common/clock.js';
import { dataFileKey, dataFilePath } from '@varve/common/contract/object-keys.js';
import { listen } from '@varve/tsdb/http/http-server.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { FolderStore } from '@varve/common/store/folder-store.js';
import { FileCache } from '@varve/tsdb/cache/file-cache.js';
import type { DataFile, Snapshot } from '@varve/tsdb/delta/snapshot.js';
import { createTsdbServer } from '@varve/tsdb/http/tsdb-server.js';
import { openQueryEngine } from '@varve/tsdb/query/open-query-engine.js';

export const lakeDays = ['2026-01-01', '2026-01-02', '2026-01-03'] as const;
const fields = ['f1', 'f2', 'f3', 'f4', 'f5'] as const;
const name = { database: 'main', table: 'readings' };
export const memoryBytesMax = 1e9;

export function lakePath(folder: string, day: string): string {
  return join(
    folder,
    'lake',
    dataFileKey(name, dataFilePath(day, `00000000-0000-4000-8000-0000${day.replaceAll('-', '')}`)),
  );
}

async function makeFile(folder: string, day: string): Promise<DataFile> {
  const localPath = lakePath(folder, day);
  await mkdir(dirname(localPath), { recursive: true });
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  const values = fields.map(
    (field, index) => `round(20 + ${index} * sin(epoch(t) / 3600 + d) + random(), 2) AS ${field}`,
  );
  const { rowsChanged } = await connection.run(`COPY (
    SELECT t AS time, 'dev-' || lpad(d::VARCHAR, 3, '0') AS device, 'site-' || (d % 10) AS site, ${values.join(', ')}, DATE '${day}' AS "day"
    FROM range(TIMESTAMPTZ '${day}', TIMESTAMPTZ '${day}' + INTERVAL 1 DAY, INTERVAL 10 SECONDS) r(t), range(200) s(d)
    ORDER BY device, site, t) TO '${localPath}' (FORMAT parquet, COMPRESSION zstd)`);
  connection.closeSync();
  instance.closeSync();
  const key = localPath.slice(join(folder, 'lake').length + 1);
  const minTimeUs = Date.parse(`${day}T00:00:00Z`) * 1_000;
  return {
    path: key.slice(key.indexOf('day=')),
    key,
    day,
    bytes: (await stat(localPath)).size,
    rowCount: rowsChanged,
    minTimeUs,
    maxTimeUs: minTimeUs + 86_390_000_000,
    level: 2,
    addedMs: 0,
  };
}

const listOf = (folder: string) => join(folder, 'files.json');

async function make(folder: string): Promise<void> {
  const files: DataFile[] = [];
  for (const day of lakeDays) files.push(await makeFile(folder, day));
  await writeFile(listOf(folder), JSON.stringify(files));
}

async function serve(folder: string): Promise<void> {
  const files = JSON.parse(await readFile(listOf(folder), 'utf8')) as DataFile[];
  const snapshot: Snapshot = {
    name,
    version: 1,
    columns: {
      tags: [{ name: 'device' }, { name: 'site' }],
      fields: fields.map((field) => ({ name: field, type: 'double' })),
    },
    files: new Map(files.map((file) => [file.path, file])),
    transactions: new Map(),
  };
  const snapshots = [snapshot];
  const catalog = { current: () => snapshots, refresh: () => Promise.resolve() };
  const [clock, log, registry] = [systemClock, silentLogger(), new Registry()];
  const store = await FolderStore.open(join(folder, 'lake'));
  const dataFiles = await FileCache.open({
    store,
    folder: join(folder, 'cache'),
    bytesMax: 1e9,
    log,
    registry,
  });
  const engine = await openQueryEngine({
    catalog,
    dataFiles,
    dataDir: join(folder, 'data'),
    readableFolders: [join(folder, 'lake', 'tables')],
    memoryBytesMax,
    spillBytesMax: 10e9,
    memory: { residentBytes: () => process.memoryUsage.rss(), machineBytes: totalmem() },
    blockingThreads: Number(process.env['UV_THREADPOOL_SIZE'] ?? 4),
    clock,
    log,
    registry,
  });
  const parts = {};
  const server = createTsdbServer({
    version: '0',
    startedMs: 0,
    store,
    catalog,
    engine,
    parts,
    clock,
    log,
    registry,
  });
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 }, 'listen');
  process.send?.({ port });
}

const [, , folder, task] = process.argv;
if (process.send !== undefined && folder !== undefined)
  await (task === 'make' ? make(folder) : serve(folder));
