/**
 * How a data file enters a table and leaves it, as actions of a commit. Pure.
 */
import type { Action } from './actions.js';
import type { DataFile } from './snapshot.js';
import { formatStatistics, formatTimeTags, type FileStatistics } from './statistics.js';

export interface NewFile {
  readonly path: string;
  readonly day: string;
  readonly bytes: number;
  readonly statistics: FileStatistics;
}

export interface ChangeFacts {
  readonly nowMs: number;
  /** False only where the table has the same rows before and after (PROTOCOL.md, "Add File and Remove File"). */
  readonly dataChange: boolean;
}

export function addAction(
  { path, day, bytes, statistics }: NewFile,
  { nowMs, dataChange }: ChangeFacts,
): Action {
  return {
    add: {
      path,
      partitionValues: { day },
      size: bytes,
      modificationTime: nowMs,
      dataChange,
      stats: formatStatistics(statistics),
      tags: formatTimeTags(statistics),
    },
  };
}

export function removeAction({ path, day, bytes }: DataFile, { nowMs, dataChange }: ChangeFacts): Action {
  return {
    remove: {
      path,
      deletionTimestamp: nowMs,
      dataChange,
      extendedFileMetadata: true,
      partitionValues: { day },
      size: bytes,
    },
  };
}
