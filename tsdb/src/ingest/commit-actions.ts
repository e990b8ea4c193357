/**
 * What one commit of ingest says to the log. Pure.
 *
 * It carries the rows and, in the same commit, how far each lane is: that is what makes a shipment be in the table once
 * (DESIGN I5). Rows that replace others change data; the commit is a blind append only if no live file was looked at.
 */
import type { TableColumns } from '@varve/common/contract/columns.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { ourProtocol, type Action } from '../delta/actions.js';
import type { CommitSummary } from '../delta/delta-log.js';
import type { TableState } from '../delta/replay.js';
import type { DataFile } from '../delta/snapshot.js';
import { formatStatistics, formatTimeTags, type FileStatistics } from '../delta/statistics.js';
import { changeColumns, createMetaData } from '../delta/table-metadata.js';
import { laneAppId } from './lane-app-id.js';
import type { InboxObject } from './list-inbox.js';

/** A new file in the store, and what it takes the place of. */
export interface CommittedFile {
  readonly path: string;
  readonly day: string;
  readonly bytes: number;
  readonly statistics: FileStatistics;
  readonly replaced: readonly DataFile[];
  readonly hasReadFiles: boolean;
}

export interface CommitContent {
  readonly name: TableName;
  /** Undefined when the commit creates the table. */
  readonly state: TableState | undefined;
  /** Given when the table does not have them yet. */
  readonly newColumns: TableColumns | undefined;
  readonly shipments: readonly InboxObject[];
  readonly files: readonly CommittedFile[];
  readonly nowMs: number;
}

export function formatActions(content: CommitContent): Action[] {
  const { files, nowMs } = content;
  return [
    ...schemaActions(content),
    ...lastSeqs(content.shipments).map(([appId, version]): Action => ({
      txn: { appId, version, lastUpdated: nowMs },
    })),
    ...files.flatMap(({ replaced }) => replaced.map((file) => removeAction(file, nowMs))),
    ...files.map((file) => addAction(file, nowMs)),
  ];
}

function schemaActions({ name, state, newColumns, nowMs }: CommitContent): Action[] {
  if (newColumns === undefined) return [];
  if (state) return [{ metaData: changeColumns(state.metaData, newColumns) }];
  return [{ protocol: ourProtocol }, { metaData: createMetaData(name, newColumns, nowMs) }];
}

/** Of each lane the last seq in the commit; a lane's shipments are in order. */
function lastSeqs(shipments: readonly InboxObject[]): [string, number][] {
  return [...new Map(shipments.map(({ parts }) => [laneAppId(parts), parts.seq]))];
}

function removeAction({ path, day, bytes }: DataFile, nowMs: number): Action {
  return {
    remove: {
      path,
      deletionTimestamp: nowMs,
      dataChange: true,
      extendedFileMetadata: true,
      partitionValues: { day },
      size: bytes,
    },
  };
}

function addAction({ path, day, bytes, statistics }: CommittedFile, nowMs: number): Action {
  return {
    add: {
      path,
      partitionValues: { day },
      size: bytes,
      modificationTime: nowMs,
      dataChange: true,
      stats: formatStatistics(statistics),
      tags: formatTimeTags(statistics),
    },
  };
}

/** For `DESCRIBE HISTORY` and the like; values are text, as Spark expects them. */
export function summarise({ files, shipments }: CommitContent): CommitSummary {
  const replacedCount = files.reduce((count, { replaced }) => count + replaced.length, 0);
  const rowCount = files.reduce((count, { statistics }) => count + statistics.rowCount, 0);
  return {
    operation: replacedCount > 0 ? 'MERGE' : 'STREAMING UPDATE',
    operationParameters: { outputMode: 'Append', shipments: String(shipments.length) },
    operationMetrics: {
      numOutputRows: String(rowCount),
      numAddedFiles: String(files.length),
      numRemovedFiles: String(replacedCount),
    },
    isBlindAppend: files.every(({ hasReadFiles }) => !hasReadFiles),
  };
}
