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
  /** As `DataFile.level`; absent: 0. */
  readonly level?: number;
}

const levelTag = 'varve.level';

export interface ChangeFacts {
  readonly nowMs: number;
  /** False only where the table has the same rows before and after (PROTOCOL.md, "Add File and Remove File"). */
  readonly dataChange: boolean;
}

export function addAction(
  { path, day, bytes, statistics, level }: NewFile,
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
      tags: { ...formatTimeTags(statistics), ...(level !== undefined && { [levelTag]: String(level) }) },
    },
  };
}

export function parseLevel(tags: Readonly<Record<string, unknown>> | null | undefined): number {
  const level = Number(tags?.[levelTag] ?? 0);
  return Number.isSafeInteger(level) && level > 0 ? level : 0;
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
