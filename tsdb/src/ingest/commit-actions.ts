/**
 * What one commit of ingest says to the log. Pure.
 *
 * It carries the rows and, in the same commit, how far each lane is: that is what makes a shipment be in the table once
 * (DESIGN I5). Rows that replace others change data; the commit is a blind append only if no live file was looked at.
 */
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import type { TableColumns } from '@varve/common/contract/columns.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { ourProtocol, type Action } from '../delta/actions.js';
import type { CommitSummary } from '../delta/delta-log.js';
import { addAction, removeAction, type NewFile } from '../delta/file-actions.js';
import type { TableState } from '../delta/replay.js';
import type { DataFile } from '../delta/snapshot.js';
import { changeShape, createMetaData } from '../delta/table-metadata.js';
import { laneAppId } from '../delta/lane-app-id.js';
import type { InboxObject } from './list-inbox.js';

/** A new file in the store, and what it takes the place of. */
export interface CommittedFile extends NewFile {
  readonly replaced: readonly DataFile[];
  readonly hasReadFiles: boolean;
}

export interface CommitContent {
  readonly name: TableName;
  /** Undefined when the commit creates the table. */
  readonly state: TableState | undefined;
  /** Given when the table does not have them yet, or is to show other quantiles. */
  readonly newColumns: TableColumns | undefined;
  /** Of a table of aggregates. */
  readonly aggregate: AggregateFacts | undefined;
  readonly shipments: readonly InboxObject[];
  readonly files: readonly CommittedFile[];
  readonly nowMs: number;
}

export function formatActions(content: CommitContent): Action[] {
  const { files, nowMs } = content;
  const facts = { nowMs, dataChange: true };
  return [
    ...schemaActions(content),
    ...lastSeqs(content.shipments).map(([appId, version]): Action => ({
      txn: { appId, version, lastUpdated: nowMs },
    })),
    ...files.flatMap(({ replaced }) => replaced.map((file) => removeAction(file, facts))),
    ...files.map((file) => addAction(file, facts)),
  ];
}

function schemaActions({ name, state, newColumns, aggregate, nowMs }: CommitContent): Action[] {
  if (newColumns === undefined) return [];
  const shape = { columns: newColumns, aggregate };
  if (state) return [{ metaData: changeShape(state.metaData, shape) }];
  return [{ protocol: ourProtocol }, { metaData: createMetaData(name, shape, nowMs) }];
}

/** Of each lane the last seq in the commit; a lane's shipments are in order. */
function lastSeqs(shipments: readonly InboxObject[]): [string, number][] {
  return [...new Map(shipments.map(({ parts }) => [laneAppId(parts), parts.seq]))];
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
