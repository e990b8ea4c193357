/**
 * Tables that the Delta project and delta-rs keep for their own tests, in a folder that `VARVE_TEST_GOLDEN` names: the unpacked
 * source of the Python package `deltalake`, whose test data they are. They are copied into a store, each under a name that
 * our stores allow; nothing of them is part of this repository.
 */
import { strict as assert } from 'node:assert';
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { silentLogger } from '@varve/common/log.js';
import { FolderStore } from '@varve/common/store/folder-store.js';
import { DeltaCatalog } from '@varve/tsdb/delta/catalog.js';
import { DuckDb } from '@varve/tsdb/delta/duckdb.js';
import { quotePath } from '@varve/tsdb/delta/sql-text.js';
import { listVersions } from '@varve/tsdb/delta/versions.js';
import { LiveFilesFold, type LiveFiles } from './live-files.js';

export interface GoldenTable {
  /** Its folder's name there. */
  readonly title: string;
  readonly name: TableName;
  /** The copy. */
  readonly path: string;
}

/** Newest version, data files, rows; no rows where the data files are not there, as in some of these tables. */
export type Content = readonly [version: number, files: number, rows?: number];

/** Of each table so many of its newest versions. */
const versionsMax = 12;

export function skipWithoutGolden(): string | false {
  const folder = process.env.VARVE_TEST_GOLDEN;
  if (folder !== undefined && existsSync(folder)) return false;
  return "needs golden tables: unpack the source of Python's deltalake and name its folder in VARVE_TEST_GOLDEN";
}

export class GoldenLake {
  readonly tables: readonly GoldenTable[];
  readonly catalog: DeltaCatalog;
  readonly #folder: string;
  readonly #store: FolderStore;
  readonly #duckDb: DuckDb;

  private constructor(folder: string, store: FolderStore) {
    this.#folder = folder;
    this.tables = copyGoldenTables(folder);
    this.#store = store;
    this.catalog = new DeltaCatalog(store, systemClock, silentLogger());
    const limits = { memoryBytesMax: 2 ** 28, tempBytesMax: 2 ** 30, threads: 1 };
    this.#duckDb = new DuckDb({ tempDir: join(folder, 'spill'), ...limits });
  }

  static async open(): Promise<GoldenLake> {
    const folder = await mkdtemp(join(tmpdir(), 'varve-golden-'));
    return new GoldenLake(folder, await FolderStore.open(folder));
  }

  async close(): Promise<void> {
    await this.#duckDb.close();
    await this.catalog.close();
    this.#store.close();
    await rm(this.#folder, { recursive: true });
  }

  /** The newest version unless one is named. */
  async read({ title, name }: GoldenTable, version?: number): Promise<LiveFiles> {
    const live = await this.catalog.reader.fold(name, () => new LiveFilesFold(title), version);
    assert(live, `${title} has no log`);
    return live;
  }

  async content(table: GoldenTable): Promise<Content> {
    const { version, paths } = await this.read(table);
    const files = paths.map((path) => join(table.path, path));
    return files.every((file) => existsSync(file))
      ? [version, files.length, await this.#countRows(files)]
      : [version, files.length];
  }

  async #countRows(files: readonly string[]): Promise<number> {
    if (files.length === 0) return 0;
    const list = files.map(quotePath).join(', ');
    const sql = `SELECT count(*)::INT AS rows FROM read_parquet([${list}], hive_partitioning = false)`;
    return await this.#duckDb.withSession(async (session) => Number((await session.rows(sql))[0]?.['rows']));
  }

  async versions({ name }: GoldenTable): Promise<number[]> {
    const { versions } = await listVersions(this.#store, name, { limit: versionsMax });
    return versions.map(({ version }) => version);
  }
}

/** Every table below `VARVE_TEST_GOLDEN`, in the store that lies in `lake`. */
function copyGoldenTables(lake: string): GoldenTable[] {
  const folder = process.env.VARVE_TEST_GOLDEN ?? '';
  const logs = readdirSync(folder, { recursive: true, withFileTypes: true });
  return logs
    .filter((entry) => entry.isDirectory() && entry.name === '_delta_log')
    .map(({ parentPath }) => copyTable(parentPath, lake))
    .sort((left, right) => (left.title < right.title ? -1 : 1));
}

function copyTable(source: string, lake: string): GoldenTable {
  const title = basename(source);
  const table = `t_${title.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`;
  const database = basename(dirname(source)).toLowerCase();
  const path = join(lake, 'tables', database, table);
  cpSync(source, path, { recursive: true });
  return { title, name: { database, table }, path };
}
