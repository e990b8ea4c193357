/**
 * The configuration file of varve-tsdb (DESIGN §5.3) as a schema: what is allowed, what is meant where nothing is said.
 *
 * Option names carry no units, their values do (`2s`, `20GB`); the parsed form has the unit in its names. Relative paths
 * are relative to the file.
 */
import { join } from 'node:path';
import { checkPems, isPem } from '@varve/common/config/pem.js';
import { pem } from '@varve/common/config/pem-schema.js';
import {
  invalidConfig,
  readConfig,
  resolveBeside,
  type ConfigSource,
} from '@varve/common/config/read-config.js';
import { storeSchema, type StoreConfig } from '@varve/common/config/store-config.js';
import type { ListenAddress } from '@varve/common/config/listen-address.js';
import { durationMs, listenAddress, parseDurationMs, sizeBytes } from '@varve/common/config/units.js';
import { identifierPattern } from '@varve/common/contract/names.js';
import { tablesPrefix } from '@varve/common/contract/object-keys.js';
import { isS3Url } from '@varve/common/store/store-url.js';
import { z } from 'zod';

export interface TablePolicy {
  /** How long rows are kept; undefined keeps them for ever. */
  readonly retainMs: number | undefined;
}

/** Each a PEM text, or the absolute path of a file with one. */
export interface ServerTls {
  /** The server's own, and those between it and its authority. */
  readonly cert: string;
  /** A secret: never log it. */
  readonly key: string;
}

export interface TsdbConfig {
  /** A folder's path is absolute. */
  readonly store: StoreConfig;
  /** Absolute. Holds only what can be rebuilt. */
  readonly dataDir: string;
  readonly listen: ListenAddress;
  /** Absent: plain HTTP. */
  readonly tls?: ServerTls | undefined;
  /** Listen elsewhere than on loopback, and let everybody do everything. */
  readonly insecure: boolean;
  readonly ingest: { readonly everyMs: number };
  /** How often is looked for files to compact. */
  readonly compact: { readonly everyMs: number };
  /** Of several tsdb on one store one at a time takes shipments in; without it all of them do, safely and in vain. */
  readonly lease: boolean;
  readonly cache: {
    /** Bound on copies of data files below `dataDir`, and on what queries spill there. */
    readonly diskBytes: number;
    /** Bound on what queries hold in memory. */
    readonly memoryBytes: number;
  };
  /** By table name; `*` stands for all others. */
  readonly tables: ReadonlyMap<string, TablePolicy>;
}

const folderPath = z
  .string({ error: 'write a folder such as ./tsdb-data' })
  .min(1, 'write a folder such as ./tsdb-data');

const retainExpected = 'write forever, or a duration such as 90d or 2y';
const retainMsMin = 3_600_000;

/** Yields milliseconds, or undefined for ever. */
const retain = z.string({ error: retainExpected }).transform((text, context): number | undefined => {
  if (text === 'forever') return undefined;
  const ms = parseDurationMs(text);
  if (ms === undefined) context.addIssue(`"${text}" is not understood: ${retainExpected}`);
  else if (ms < retainMsMin) context.addIssue('is too short: keep rows for at least 1h');
  return ms;
});

const tableName = z.string().refine((name) => name === '*' || identifierPattern.test(name), {
  error: 'is not a table name: use a-z, 0-9 and _, or "*" for all tables',
});

const tables = z.record(tableName, z.strictObject({ retain: retain.prefault('forever') }), {
  error: 'write tables with their policies, such as environment: { retain: 2y }',
});

/** DuckDB itself needs some tens of megabytes; below this, ordinary queries fail. */
const memoryBytesMin = 128e6;
const diskBytesMin = 100e6;

const tsdbSchema = z
  .strictObject({
    store: storeSchema,
    data_dir: folderPath.default('./tsdb-data'),
    listen: listenAddress().prefault('127.0.0.1:8181'),
    tls: z
      .strictObject({ cert: pem, key: pem }, { error: 'write { cert: server.pem, key: server.key }' })
      .optional(),
    insecure: z.boolean({ error: 'write true or false' }).default(false),
    ingest: z
      .strictObject({ every: durationMs({ minMs: 100, maxMs: 3_600_000 }).prefault('2s') })
      .prefault({}),
    compact: z
      .strictObject({ every: durationMs({ minMs: 100, maxMs: 86_400_000 }).prefault('10s') })
      .prefault({}),
    lease: z.boolean({ error: 'write true or false' }).default(true),
    cache: z
      .strictObject({
        disk: sizeBytes({ minBytes: diskBytesMin }).prefault('20GB'),
        memory: sizeBytes({ minBytes: memoryBytesMin }).prefault('4GB'),
      })
      .prefault({}),
    tables: tables.prefault({}),
  })
  .transform((raw): TsdbConfig => ({
    store: raw.store,
    dataDir: raw.data_dir,
    listen: raw.listen,
    ...(raw.tls && { tls: raw.tls }),
    insecure: raw.insecure,
    ingest: { everyMs: raw.ingest.every },
    compact: { everyMs: raw.compact.every },
    lease: raw.lease,
    cache: { diskBytes: raw.cache.disk, memoryBytes: raw.cache.memory },
    tables: new Map(Object.entries(raw.tables).map(([name, policy]) => [name, { retainMs: policy.retain }])),
  }));

/** @throws Failure `config_unreadable`, or `config_invalid` with every problem there is */
export async function readTsdbConfig(source: ConfigSource): Promise<TsdbConfig> {
  const config = await readConfig(source, tsdbSchema);
  const { store, dataDir } = config;
  const place = (written: string) => (isPem(written) ? written : resolveBeside(source.path, written));
  const tls = config.tls && { cert: place(config.tls.cert), key: place(config.tls.key) };
  const problems = checkPems('tls', tls ?? {});
  if (problems.length > 0) throw invalidConfig(source.path, problems);
  return {
    ...config,
    ...(tls && { tls }),
    store: isS3Url(store.url) ? store : { ...store, url: resolveBeside(source.path, store.url) },
    dataDir: resolveBeside(source.path, dataDir),
  };
}

export function cacheFolder({ dataDir }: TsdbConfig): string {
  return join(dataDir, 'cache');
}

/** For local copies of checkpoints. */
export function logFolder({ dataDir }: TsdbConfig): string {
  return join(dataDir, 'log');
}

/** Where data files can lie on this machine. */
export function dataFileFolders(config: TsdbConfig): string[] {
  const { url } = config.store;
  return isS3Url(url) ? [cacheFolder(config)] : [cacheFolder(config), join(url, tablesPrefix)];
}

/** How long rows of a table are kept; undefined: for ever. */
export function retentionOf({
  tables,
}: TsdbConfig): (name: { readonly table: string }) => number | undefined {
  return ({ table }) => (tables.get(table) ?? tables.get('*'))?.retainMs;
}
