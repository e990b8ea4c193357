/**
 * Deletes data files that no version inside retention needs.
 *
 * 1. Kept are: files of the newest version, of pinned versions, and those that were removed after the cutoff.
 * 2. Of all others that the table's folder holds, those are deleted that the store took before the cutoff: a younger one may
 *    have been uploaded for a commit that is still to come. Nothing in or below a name that begins with `_` or `.` is touched.
 * 3. The cutoff is the table's `delta.deletedFileRetentionDuration` ago, or longer if so asked; shorter only by the word
 *    `isShortAllowed`. Now is the earlier of the store's clock and ours.
 *
 * Deleted in batches, in any order: no version that can be read is left without a file. Killed anywhere, the next run goes on.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '@varve/common/clock.js';
import { probeKey, tableRoot, type TableName } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { ObjectInfo, Store } from '@varve/common/store/store.js';
import type { DeltaCatalog } from './catalog.js';
import { deletedFileRetentionMs } from './intervals.js';
import { listPins } from './pins.js';
import { requireWritable } from './actions.js';
import { formatTableName } from './table-metadata.js';

export interface VacuumContext {
  readonly store: Store;
  readonly catalog: DeltaCatalog;
  readonly clock: Clock;
}

export interface VacuumOptions {
  readonly isDryRun: boolean;
  /** Undefined: as long as the table's configuration says. */
  readonly olderThanMs?: number | undefined;
  /** Whoever says so knows that no reader needs an older version, and that no writer is at work. */
  readonly isShortAllowed?: boolean;
}

export interface VacuumReport {
  readonly table: TableName;
  readonly cutoffMs: number;
  readonly listed: number;
  readonly kept: number;
  readonly tooYoung: number;
  /** In a dry run, what would be. */
  readonly deleted: number;
  readonly deletedBytes: number;
  /** The first of the deleted ones. */
  readonly examples: readonly string[];
}

const deletedAtOnce = 1_000;
const examplesMax = 20;

/** @throws Failure `bad_param` when `olderThanMs` is too short, `table_not_found`, or the store's */
export async function vacuum(
  context: VacuumContext,
  table: TableName,
  options: VacuumOptions,
): Promise<VacuumReport> {
  const { store } = context;
  const scene = await prepare(context, table, options);
  const report = {
    table,
    cutoffMs: scene.cutoffMs,
    listed: 0,
    kept: 0,
    tooYoung: 0,
    deleted: 0,
    deletedBytes: 0,
  };
  const examples: string[] = [];
  let batch: string[] = [];
  const flush = async () => {
    if (!options.isDryRun && batch.length > 0) await store.delete(batch);
    batch = [];
  };
  for await (const object of store.list(tableRoot(table))) {
    const fate = fateOf(object, scene);
    if (fate === 'hidden') continue;
    report.listed += 1;
    report[fate] += 1;
    if (fate !== 'deleted') continue;
    report.deletedBytes += object.bytes;
    if (examples.length < examplesMax) examples.push(object.key);
    batch.push(object.key);
    if (batch.length >= deletedAtOnce) await flush();
  }
  await flush();
  return { ...report, examples };
}

interface Scene {
  readonly root: string;
  readonly needed: ReadonlySet<string>;
  readonly cutoffMs: number;
}

/** Pure. */
export function fateOf(
  { key, modifiedMs }: ObjectInfo,
  { root, needed, cutoffMs }: Scene,
): 'hidden' | 'kept' | 'tooYoung' | 'deleted' {
  const parts = key.slice(root.length).split('/');
  if (parts.some((part) => part.startsWith('_') || part.startsWith('.'))) return 'hidden';
  if (needed.has(key)) return 'kept';
  return modifiedMs < cutoffMs ? 'deleted' : 'tooYoung';
}

async function prepare(
  { store, catalog, clock }: VacuumContext,
  table: TableName,
  { olderThanMs, isShortAllowed = false }: VacuumOptions,
): Promise<Scene> {
  const nowMs = Math.min(clock.nowMs(), await storeNowMs(store));
  const state = await catalog.refreshTable(table);
  if (!state) throw new Failure('table_not_found', `there is no table ${formatTableName(table)}`);
  requireWritable(formatTableName(table), state);
  const retentionMs = deletedFileRetentionMs(state.metaData);
  const guardMs = olderThanMs ?? retentionMs;
  if (guardMs < retentionMs && !isShortAllowed)
    throw new Failure(
      'bad_param',
      `files of ${formatTableName(table)} are promised to stay for ${retentionMs / 3_600_000} h after their removal`,
      {
        hint: 'a shorter time breaks queries and versions that still need them, and commits under way; say --force if there are none',
        facts: { retention_ms: retentionMs },
      },
    );
  const cutoffMs = nowMs - guardMs;
  // What is live is looked at before and after: a file may be removed meanwhile, and one may come back by a restore.
  const removed = await catalog.reader.readRemoved(table, cutoffMs);
  const root = tableRoot(table);
  const needed = new Set<string>();
  for (const path of removed) needed.add(root + decodePath(path));
  for (const version of await listPins(store, table))
    for (const { key } of (await catalog.reader.readAt(table, { version })).state.files.values())
      needed.add(key);
  const fresh = (await catalog.refreshTable(table)) ?? state;
  for (const { files } of [state, fresh]) for (const { key } of files.values()) needed.add(key);
  return { root, needed, cutoffMs };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** A clock of ours that runs ahead would make every file old. */
async function storeNowMs(store: Store): Promise<number> {
  const key = probeKey(randomUUID());
  await store.put(key, new Uint8Array());
  const info = await store.head(key);
  await store.delete([key]);
  return info?.modifiedMs ?? -Infinity;
}
