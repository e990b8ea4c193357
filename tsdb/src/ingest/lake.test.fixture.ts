/**
 * A store in memory with an ingester on it, and ways to ship rows in and read a table's rows back. For tests.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import type { FieldType, TableColumns } from '@varve/common/contract/columns.js';
import { formatInboxKey, type InboxKey } from '@varve/common/contract/object-keys.js';
import { formatShipmentMetadata, type ShipmentMetadata } from '@varve/common/contract/shipment.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import type { Store } from '@varve/common/store/store.js';
import { DeltaCatalog } from '../delta/catalog.js';
import type { AcquiredFiles, DataFiles, ReadEstimate } from '../delta/data-files.js';
import { DuckDb, type Row } from '../delta/duckdb.js';
import { rowsOfFiles } from '../delta/file-rows.js';
import type { TableState } from '../delta/replay.js';
import { shownFields } from '../delta/shown-fields.js';
import type { DataFile, Snapshot } from '../delta/snapshot.js';
import { quoteName, quoteText, sqlType, storedSqlType } from '../delta/sql-text.js';
import { openSeriesRegister } from '../latest/open-series-register.js';
import type { SeriesRegister } from '../latest/series-register.js';
import type { IngestLimits } from './ingest-limits.js';
import type { RoundReport } from './ingest-status.js';
import { openIngester, type Ingester } from './ingester.js';

export type Value = string | number | bigint | boolean | null;

/** `time` in microseconds, and a value per column; a column left out is null. */
export type ShipmentRow = Readonly<Record<string, Value>> & { readonly time: number };

export interface TestShipment extends Partial<InboxKey> {
  readonly tags?: readonly string[];
  readonly types?: Readonly<Record<string, FieldType>>;
  readonly rows: readonly ShipmentRow[];
  readonly aggregate?: AggregateFacts;
  readonly decimals?: Readonly<Record<string, number>>;
  /** Metadata that says something else than the file. */
  readonly lies?: Partial<ShipmentMetadata>;
  /** The file's columns as SQL over nothing, in place of `types` and `rows`. */
  readonly select?: string;
}

export const noonUs = Date.parse('2026-03-01T12:00:00Z') * 1_000;

const defaultKey: InboxKey = {
  agent: 'press-hall-3',
  epoch: 'e1',
  lane: 'data',
  database: 'main',
  table: 'climate',
  seq: 1,
};

export class TestLake {
  readonly store = new MemoryStore();
  readonly dir: string;
  /** Paths of data files that ingesters have looked into. */
  readonly acquired: string[] = [];
  readonly #duckDb: DuckDb;
  readonly #ingesters: Ingester[] = [];
  readonly #registers = new Map<Ingester, SeriesRegister>();

  private constructor(dir: string) {
    this.dir = dir;
    this.#duckDb = new DuckDb({ tempDir: dir, memoryBytesMax: 2 ** 28, tempBytesMax: 2 ** 30, threads: 1 });
  }

  static async open(): Promise<TestLake> {
    return new TestLake(await mkdtemp(join(tmpdir(), 'varve-ingest-')));
  }

  async close(): Promise<void> {
    for (const ingester of this.#ingesters) await ingester.close();
    await this.closeRegisters();
    await this.#duckDb.close();
    await rm(this.dir, { recursive: true, force: true });
  }

  /** As a process that starts: with an empty memory and a folder of its own. */
  async openIngester(
    limits: Partial<IngestLimits> = {},
    { registry = new Registry(), dataDir = join(this.dir, randomUUID()) } = {},
  ): Promise<Ingester> {
    const { store } = this;
    const dataFiles = new DownloadedFiles(store, this.dir, this.acquired);
    const common = { store, dataFiles, dataDir, clock: systemClock, log: silentLogger() };
    const register = openSeriesRegister(common);
    const ingester = await openIngester({
      ...common,
      catalog: new DeltaCatalog(store, systemClock, silentLogger()),
      register,
      everyMs: 1,
      registry,
      memoryBytesMax: 2 ** 28,
      threads: 1,
      limits,
    });
    this.#ingesters.push(ingester);
    this.#registers.set(ingester, register);
    return ingester;
  }

  /** As at the end of their processes. */
  async closeRegisters(): Promise<void> {
    for (const register of this.#registers.values()) await register.close();
    this.#registers.clear();
  }

  registerOf(ingester: Ingester): SeriesRegister {
    const register = this.#registers.get(ingester);
    assert.ok(register);
    return register;
  }

  /** Puts a shipment into the inbox and returns its key. */
  async ship(shipment: TestShipment): Promise<string> {
    const parts = keyOf(shipment);
    const key = formatInboxKey(parts);
    await this.store.putIfAbsent(key, await this.parquet(shipment));
    return key;
  }

  /** The bytes of a shipment. */
  async parquet(shipment: TestShipment): Promise<Uint8Array> {
    const path = join(this.dir, `${randomUUID()}.parquet`);
    const { tags = ['device'], types = { v: 'double' }, rows, aggregate, decimals, lies, select } = shipment;
    const metadata = formatShipmentMetadata({
      ...keyOf(shipment),
      rowCount: rows.length,
      tags,
      originalNames: {},
      firstLogSeq: 1,
      lastLogSeq: 1,
      aggregate,
      decimals,
      ...lies,
    });
    const entries = [...metadata].map(([name, value]) => `${quoteText(name)}: ${quoteText(value)}`);
    const columns = {
      time: 'time',
      ...Object.fromEntries(tags.map((tag) => [tag, 'string'])),
      ...types,
    } as const;
    await this.#duckDb.withSession(async (session) => {
      await session.run(`COPY (${select ?? rowsSql(columns, rows)}) TO ${quoteText(path)}
        (FORMAT parquet, COMPRESSION zstd, KV_METADATA {${entries.join(', ')}})`);
    });
    return await readFile(path);
  }

  /** The newest version of a table, as the log in the store has it. */
  async snapshot(table = 'climate'): Promise<Snapshot> {
    return await this.state(table);
  }

  async state(table = 'climate'): Promise<TableState> {
    const catalog = new DeltaCatalog(this.store, systemClock, silentLogger());
    const state = await catalog.refreshTable({ database: 'main', table });
    if (!state) throw new Error(`there is no table ${table}`);
    return state;
  }

  /** Every row of the live files, each as it is in its file, in order of all columns. */
  async readTable(table = 'climate'): Promise<readonly Row[]> {
    const { files } = await this.snapshot(table);
    return await this.query(
      [...files.values()],
      'SELECT * REPLACE (epoch_us("time") AS "time") FROM files ORDER BY ALL',
    );
  }

  /** Every row as a query sees it: a column and the double beside it are one. */
  async readShown(table = 'climate'): Promise<readonly Row[]> {
    return await this.readShownAt(await this.snapshot(table));
  }

  async readShownAt({ files, columns }: Snapshot): Promise<readonly Row[]> {
    const fields = shownFields(columns).map(({ name, sql }) => `${sql} AS ${quoteName(name)}`);
    const identity = ['epoch_us("time") AS "time"', ...columns.tags.map(({ name }) => quoteName(name))];
    return await this.query(
      [...files.values()],
      `SELECT ${[...identity, ...fields].join(', ')} FROM files ORDER BY ALL`,
      columns,
    );
  }

  /** `sql` over `files`, which stands for the files' rows, with the columns given or those that the files have. */
  async query(
    files: readonly DataFile[],
    sql: string,
    columns: TableColumns = { tags: [], fields: [] },
  ): Promise<readonly Row[]> {
    const { paths } = await new DownloadedFiles(this.store, this.dir).acquire(files);
    return await this.#duckDb.withSession(async (session) => {
      await session.run(
        `CREATE TEMP VIEW files AS SELECT * FROM ${rowsOfFiles([...paths.values()], columns)}`,
      );
      return await session.rows(sql);
    });
  }

  /** One round in which nothing fails. */
  async runClean(ingester: Ingester): Promise<RoundReport> {
    const report = await ingester.runOnce();
    assert.deepEqual(report.failures, []);
    return report;
  }

  /** The table's rows as text: time in microseconds after noon, then every other column but day. */
  async rowsText(): Promise<string[]> {
    return (await this.readTable()).map((row) => {
      const { time, ...values } = row;
      const shown = Object.entries(values).filter(([name]) => name !== 'day');
      return [Number(time) - noonUs, ...shown.map(([, value]) => String(value))].join(' ');
    });
  }

  /** The table's columns as text, `name:kind`. */
  async columnsText(): Promise<string> {
    const { tags, fields } = (await this.snapshot()).columns;
    const texts = [
      ...tags.map(({ name }) => `${name}:tag`),
      ...fields.map(
        (field) => `${field.name}:${field.decimals === undefined ? field.type : storedSqlType(field)}`,
      ),
    ];
    return texts.join(' ');
  }

  async keys(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.store.list(prefix)) keys.push(key);
    return keys;
  }
}

function keyOf(shipment: TestShipment): InboxKey {
  const { agent, epoch, lane, database, table, seq } = { ...defaultKey, ...shipment };
  return { agent, epoch, lane, database, table, seq };
}

function rowsSql(
  columns: Readonly<Record<string, FieldType | 'time'>>,
  rows: readonly ShipmentRow[],
): string {
  const literals = Object.entries(columns).map(([name, type]) => ({ name, type }));
  const selects = [null, ...rows].map((row) => {
    const values = literals.map(
      ({ name, type }) => `${literal(row?.[name] ?? null, type)} AS ${quoteName(name)}`,
    );
    return `SELECT ${values.join(', ')}${row === null ? ' WHERE false' : ''}`;
  });
  return selects.join(' UNION ALL ');
}

function literal(value: Value, type: FieldType | 'time'): string {
  if (type === 'time') return `make_timestamptz(CAST(${value === null ? 'NULL' : String(value)} AS BIGINT))`;
  return `CAST(${value === null ? 'NULL' : quoteText(String(value))} AS ${sqlType(type)})`;
}

/** Copies of data files in a folder, for ever. */
export class DownloadedFiles implements DataFiles {
  readonly #store: Store;
  readonly #dir: string;

  readonly #acquired: string[] | undefined;

  constructor(store: Store, dir: string, acquired?: string[]) {
    this.#store = store;
    this.#acquired = acquired;
    this.#dir = dir;
  }

  estimate(files: readonly DataFile[]): Promise<ReadEstimate> {
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    return Promise.resolve({ bytes, storeRequests: files.length, storeBytes: bytes });
  }

  async acquire(files: readonly DataFile[]): Promise<AcquiredFiles> {
    const paths = new Map<string, string>();
    for (const file of files) {
      this.#acquired?.push(file.path);
      const path = join(this.#dir, `${randomUUID()}.parquet`);
      await this.#store.download(file.key, path);
      paths.set(file.path, path);
    }
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    return { paths, bytes, release: () => undefined };
  }

  async acquireUnseen(files: readonly DataFile[]): Promise<AcquiredFiles> {
    return await this.acquire(files);
  }

  async forgetMissing(): Promise<void> {
    // Nobody deletes them.
  }

  async adopt(): Promise<void> {
    // Comes back by download.
  }

  doubt(): void {
    // Every copy is a new one.
  }
}
