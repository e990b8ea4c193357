/**
 * Data files in place of others, in one commit.
 *
 * 1. The new files are uploaded, one by one as they are made. Nothing refers to them yet.
 * 2. THE COMMIT POINT: put-if-absent of the next version, with the new files and without the old ones. When somebody else
 *    took the version, and the old files are all still live, only the put is tried again: whoever appends never makes
 *    upkeep begin anew.
 * 3. When an old file is gone, nothing is committed, and the new files are deleted.
 *
 * Killed before 2: files nobody refers to, which vacuum removes. When the outcome of 2 is unknown, nothing is deleted.
 * Replaced files stay in the store for queries under way and readers of older versions, until vacuum removes them.
 */
import { dataFileKey, type TableName } from '@varve/common/contract/object-keys.js';
import { planBackoffMs } from '@varve/common/backoff.js';
import { Failure, isFailure, messageOf } from '@varve/common/errors.js';
import { requireWritable, type Action } from '../delta/actions.js';
import type { CommitSummary } from '../delta/delta-log.js';
import { addAction, removeAction, type NewFile } from '../delta/file-actions.js';
import type { TableState } from '../delta/replay.js';
import type { DataFile } from '../delta/snapshot.js';
import { formatTableName } from '../delta/table-metadata.js';
import type { UpkeepContext } from './upkeep-context.js';

export interface Replacement {
  readonly removed: readonly DataFile[];
  readonly added: readonly NewFile[];
  /** False only where the table has the same rows before and after. */
  readonly dataChange: boolean;
  readonly summary: CommitSummary;
}

/** Of one put. Somebody who commits ten times a second leaves room for one more within a few tries. */
export const commitTriesMax = 50;
const conflictBackoff = { firstMs: 5, maxMs: 200 };

/** Uploads a new file, and keeps it in the cache: queries will want it. */
export async function uploadFile(
  { store, dataFiles, log }: UpkeepContext,
  name: TableName,
  { path }: NewFile,
  localPath: string,
): Promise<void> {
  const key = dataFileKey(name, path);
  await store.putIfAbsent(key, { path: localPath });
  try {
    await dataFiles.adopt(key, localPath);
  } catch (error) {
    log.warn({ path, reason: messageOf(error) }, 'a new data file could not be kept locally');
  }
}

/** Only where it is certain that no version has them, nor ever will. */
export async function dropFiles(
  { store }: UpkeepContext,
  name: TableName,
  files: readonly NewFile[],
): Promise<void> {
  if (files.length > 0) await store.delete(files.map(({ path }) => dataFileKey(name, path)));
}

/**
 * Undefined when an old file is no longer live, or somebody else was first every time. Then no version has the new ones.
 * Otherwise the version. @throws Failure; a transient one leaves the outcome unknown
 */
export async function replaceFiles(
  context: UpkeepContext,
  name: TableName,
  { removed, added, dataChange, summary }: Replacement,
): Promise<number | undefined> {
  const { catalog, deltaLog, clock } = context;
  for (let tries = 1; tries <= commitTriesMax; tries += 1) {
    const state = await catalog.refreshTable(name);
    if (!state || !areLive(state, removed)) break;
    requireWritable(formatTableName(name), state, { changesRows: dataChange });
    const facts = { nowMs: clock.nowMs(), dataChange };
    const actions: Action[] = [
      ...removed.map((file) => removeAction(file, facts)),
      ...added.map((file) => addAction(file, facts)),
    ];
    try {
      const commit = await deltaLog.commit(name, state.version + 1, summary, actions);
      catalog.applied(name, commit.version, commit.actions);
      return commit.version;
    } catch (error) {
      if (!isFailure(error, 'commit_conflict')) throw error;
      await clock.sleep(planBackoffMs(tries, conflictBackoff, Math.random()));
    }
  }
  await dropFiles(context, name, added);
  return undefined;
}

export function areLive({ files }: TableState, wanted: readonly DataFile[]): boolean {
  return wanted.every(({ path }) => files.has(path));
}

/** A last look before rows could be lost: files of other writers may not say how many they have. */
export function requireSameRows(expected: number, writtenRows: number): void {
  if (Number.isNaN(expected) || expected === writtenRows) return;
  throw new Failure('object_corrupt', `files of ${expected} rows by the log hold ${writtenRows}`, {
    hint: 'compare the files of the table with its log',
  });
}
