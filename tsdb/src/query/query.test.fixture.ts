/**
 * For tests: a lake in a folder with tables whose files DuckDB wrote, and an engine over it.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { memoryUsage } from 'node:process';
import { DuckDBInstance } from '@duckdb/node-api';
import { systemClock } from '@varve/common/clock.js';
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import type { Field, FieldType } from '@varve/common/contract/columns.js';
import {
  dataFileKey,
  dataFilePath,
  defaultDatabase,
  type TableName,
} from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { FolderStore } from '@varve/common/store/folder-store.js';
import { FileCache } from '../cache/file-cache.js';
import type { DataFile, Snapshot, TableCatalog } from '../delta/snapshot.js';
import type { KnownNewest } from './newest-rows.js';
import { openQueryEngine } from './open-query-engine.js';
import type { QueryEngine } from './query-engine.js';

export interface FixtureTable {
  readonly database?: string;
  readonly table: string;
  readonly version?: number;
  readonly tags?: readonly string[];
  readonly fields?: Readonly<Record<string, FieldType | Omit<Field, 'name'>>>;
  readonly aggregate?: AggregateFacts;
  /** One file each: a SELECT whose columns are the file's. */
  readonly files?: readonly string[];
  /** Of DuckDB's COPY. */
  readonly copyOptions?: string;
}

/** As `main.ts` has it. */
export const ownMemory = (machineBytes = totalmem()) => ({
  residentBytes: () => memoryUsage.rss(),
  machineBytes,
});

export class QueryFixture implements TableCatalog {
  readonly folder: string;
  readonly store: FolderStore;
  readonly registry = new Registry();
  /** What the engine is told of newest rows. */
  knownNewest: KnownNewest = () => undefined;
  readonly #snapshots = new Map<string, Snapshot>();
  readonly #past: Snapshot[] = [];
  #engine: QueryEngine | undefined;

  private constructor(folder: string, store: FolderStore) {
    this.folder = folder;
    this.store = store;
  }

  static async open(): Promise<QueryFixture> {
    const folder = await mkdtemp(join(tmpdir(), 'tsdb-query-'));
    return new QueryFixture(folder, await FolderStore.open(join(folder, 'lake')));
  }

  get engine(): QueryEngine {
    if (this.#engine === undefined) throw new Error('start the engine first');
    return this.#engine;
  }

  async startEngine(
    memoryBytesMax = 500e6,
    spillBytesMax = 1e9,
    machineBytes = totalmem(),
  ): Promise<QueryEngine> {
    const log = silentLogger();
    const dataFiles = await FileCache.open({
      store: this.store,
      folder: join(this.folder, 'cache'),
      bytesMax: 1e9,
      log,
      registry: this.registry,
    });
    this.#engine = await openQueryEngine({
      catalog: this,
      dataFiles,
      knownNewest: (snapshot) => this.knownNewest(snapshot),
      dataDir: join(this.folder, 'data'),
      readableFolders: [join(this.folder, 'lake', 'tables')],
      memoryBytesMax,
      spillBytesMax,
      memory: ownMemory(machineBytes),
      clock: systemClock,
      log,
      registry: this.registry,
    });
    return this.#engine;
  }

  async close(): Promise<void> {
    await this.#engine?.close();
    await rm(this.folder, { recursive: true });
  }

  current(): readonly Snapshot[] {
    return [...this.#snapshots.values()];
  }

  snapshotAt(name: TableName, at: { version: number } | { timeMs: number }): Promise<Snapshot> {
    const found = this.#past.find(
      (past) => past.name.table === name.table && 'version' in at && past.version === at.version,
    );
    return found
      ? Promise.resolve(found)
      : Promise.reject(new Failure('version_not_found', 'there is no such version'));
  }

  async refresh(): Promise<void> {
    // Tests put tables in by hand.
  }

  /** Adds the table, or a new version of it. */
  async put({
    tags = [],
    fields = {},
    files = [],
    version = 0,
    aggregate,
    copyOptions = 'FORMAT parquet',
    ...names
  }: FixtureTable): Promise<Snapshot> {
    const name = { database: names.database ?? defaultDatabase, table: names.table };
    const dataFiles: DataFile[] = [];
    for (const sql of files) dataFiles.push(await this.#writeFile(name, sql, copyOptions));
    const snapshot: Snapshot = {
      name,
      version,
      columns: {
        tags: tags.map((tag) => ({ name: tag })),
        fields: Object.entries(fields).map(([field, type]) => ({
          name: field,
          ...(typeof type === 'string' ? { type } : type),
        })),
      },
      files: new Map(dataFiles.map((file) => [file.path, file])),
      aggregate,
      transactions: new Map(),
    };
    this.#snapshots.set(`${name.database}.${name.table}`, snapshot);
    this.#past.push(snapshot);
    return snapshot;
  }

  async #writeFile(name: TableName, sql: string, copyOptions: string): Promise<DataFile> {
    const madePath = join(this.folder, 'made.parquet');
    const extent = await writeParquet(sql, madePath, copyOptions);
    const { size } = await stat(madePath);
    const day = dayOf(extent.minTimeUs);
    const path = dataFilePath(day, randomUUID());
    const key = dataFileKey(name, path);
    const localPath = this.store.localPath(key);
    await mkdir(dirname(localPath), { recursive: true });
    await rename(madePath, localPath);
    return { path, key, day, bytes: size, ...extent, level: 0, addedMs: 0 };
  }
}

/** Of its first row: files of these tests have rows of one day, or nothing is asked of their days. */
function dayOf(us: number): string {
  return new Date(Number.isFinite(us) ? us / 1_000 : 0).toISOString().slice(0, 10);
}

type Extent = Pick<DataFile, 'rowCount' | 'minTimeUs' | 'maxTimeUs'>;

async function writeParquet(sql: string, path: string, copyOptions: string): Promise<Extent> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    const { rowsChanged } = await connection.run(`COPY (${sql}) TO '${path}' (${copyOptions})`);
    const reader = await connection.runAndReadAll(
      `SELECT epoch_us(min(time))::DOUBLE, epoch_us(max(time))::DOUBLE FROM '${path}'`,
    );
    const [minTimeUs, maxTimeUs] = reader.getRows()[0] ?? [];
    return { rowCount: rowsChanged, minTimeUs: Number(minTimeUs), maxTimeUs: Number(maxTimeUs) };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
