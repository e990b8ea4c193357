/**
 * The DuckDB in which queries run: in memory, without files of its own, and locked before the first query.
 *
 * 1. Every slot gets a connection and a catalog of its own: a query sees the tables at one version, whatever the other
 *    slots look at meanwhile.
 * 2. Then, in this order: folders that may be read are named, everything else outside is closed, and the settings are
 *    locked, so that no statement can open it again. `sql-guard.ts` is the first wall; this is the second.
 *
 * DuckDB may write where it may read. That nothing is written is the guard's to see to: only SELECT passes it.
 */
import { availableParallelism } from 'node:os';
import { mkdir, rm } from 'node:fs/promises';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import { quoteName, quoteText } from '../delta/sql-text.js';
import { createLttbPicker } from './lttb.js';
import { PreparedStatements, statementKey } from './prepared-statements.js';
import type { ShownView } from './table-views.js';

export interface QueryDatabaseOptions {
  readonly slotsMax: number;
  /** DuckDB's `memory_limit`; what does not fit is spilled where an operator can. */
  readonly memoryBytesMax: number;
  /** Emptied when the database is opened. */
  readonly spillFolder: string;
  readonly spillBytesMax: number;
  /** Everything below them can be read; all with a trailing slash. */
  readonly readableFolders: readonly string[];
}

/** Where one query at a time runs. */
export interface QuerySlot {
  readonly connection: DuckDBConnection;
  readonly catalog: string;
  /** The schema that stands for tables without one; undefined where that is not known. */
  database: string | undefined;
  readonly statements: PreparedStatements;
  /** The views of this slot's catalog, by table. */
  readonly views: Map<string, ShownView>;
}

/**
 * Rows are held back until this much is there or the query is done. Most failures come before the first row is sent
 * then, and are answered with a status and a reason.
 */
const heldBackBytes = '4MiB';

export class QueryDatabase {
  /** True once a fatal error was seen. */
  isBroken = false;
  /** For looking at texts of SQL: sees no table. */
  readonly parser: DuckDBConnection;
  readonly #instance: DuckDBInstance;
  /** The last one given back comes first: its views are the newest. */
  readonly #idle: QuerySlot[];
  #inUse = 0;
  #close: (() => void) | undefined;

  private constructor(instance: DuckDBInstance, parser: DuckDBConnection, slots: QuerySlot[]) {
    this.#instance = instance;
    this.parser = parser;
    this.#idle = slots;
  }

  static async open(options: QueryDatabaseOptions): Promise<QueryDatabase> {
    await rm(options.spillFolder, { recursive: true, force: true });
    await mkdir(options.spillFolder, { recursive: true });
    const instance = await DuckDBInstance.create(':memory:', settingsAtStart(options));
    const slots: QuerySlot[] = [];
    for (let number = 0; number < options.slotsMax; number++) slots.push(await openSlot(instance, number));
    await lock(instance, options);
    return new QueryDatabase(instance, await instance.connect(), slots);
  }

  /** One that has prepared the statement already, where there is one. */
  takeSlot(database = defaultDatabase, sql = ''): QuerySlot {
    const key = statementKey(database, sql);
    const prepared = this.#idle.findLastIndex(({ statements }) => statements.has(key));
    // -1 is the last one.
    const [slot] = this.#idle.splice(prepared, 1);
    if (slot === undefined) throw new Error('more queries were let in than there are slots');
    this.#inUse += 1;
    return slot;
  }

  giveBack(slot: QuerySlot): void {
    this.#inUse -= 1;
    this.#idle.push(slot);
    if (this.#inUse === 0) this.#close?.();
  }

  /** Waits for the slots in use. */
  async close(): Promise<void> {
    if (this.#inUse > 0) await new Promise<void>((resolve) => (this.#close = resolve));
    for (const { connection } of this.#idle.splice(0)) connection.closeSync();
    this.parser.closeSync();
    this.#instance.closeSync();
  }
}

function settingsAtStart({ memoryBytesMax, spillFolder }: QueryDatabaseOptions) {
  return {
    threads: String(availableParallelism()),
    memory_limit: `${memoryBytesMax}B`,
    temp_directory: spillFolder,
    autoload_known_extensions: 'false',
    autoinstall_known_extensions: 'false',
    allow_community_extensions: 'false',
    allow_persistent_secrets: 'false',
  };
}

async function openSlot(instance: DuckDBInstance, number: number): Promise<QuerySlot> {
  const connection = await instance.connect();
  const catalog = `slot${number}`;
  await connection.run(`ATTACH ':memory:' AS ${quoteName(catalog)}`);
  await connection.run(`USE ${quoteName(catalog)}`);
  await connection.run(`SET streaming_buffer_size = '${heldBackBytes}'`);
  const statements = new PreparedStatements(connection);
  return { connection, catalog, database: defaultDatabase, statements, views: new Map() };
}

async function lock(
  instance: DuckDBInstance,
  { readableFolders, spillBytesMax }: QueryDatabaseOptions,
): Promise<void> {
  const connection = await instance.connect();
  connection.registerScalarFunction(createLttbPicker());
  const settings: [name: string, value: string][] = [
    ['TimeZone', quoteText('UTC')],
    ['errors_as_json', 'true'],
    // Given when the instance is made, DuckDB 1.5.6 shows it and does not heed it.
    ['max_temp_directory_size', quoteText(`${spillBytesMax}B`)],
    // Data files never change: their footers need to be read once.
    ['parquet_metadata_cache', 'true'],
    ['allowed_directories', `[${readableFolders.map(quoteText).join(', ')}]`],
    ['enable_external_access', 'false'],
    ['lock_configuration', 'true'],
  ];
  for (const [name, value] of settings) await connection.run(`SET GLOBAL ${name} = ${value}`);
  connection.closeSync();
}
