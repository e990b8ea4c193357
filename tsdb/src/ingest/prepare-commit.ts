/**
 * Everything of a commit that costs time and is not yet visible to anybody: shipments are read, merged, and written as
 * data files, one per day, on this machine.
 */
import { randomUUID } from 'node:crypto';
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import type { TableColumns } from '@varve/common/contract/columns.js';
import { dataFilePath } from '@varve/common/contract/object-keys.js';
import type { DataFiles } from '../delta/data-files.js';
import type { Session } from '../delta/duckdb.js';
import type { TableState } from '../delta/replay.js';
import { kindOfTable } from './check-aggregate.js';
import type { CommittedFile } from './commit-actions.js';
import type { IngestLimits } from './ingest-limits.js';
import type { InboxObject } from './list-inbox.js';
import { loadShipments, type Rejection } from './load-shipments.js';
import { readNewest } from '../latest/read-newest.js';
import type { LatestRows, SeriesRows } from '../latest/series.js';
import { countConflicts, nameSides, type ConflictCount } from './count-conflicts.js';
import { findLate } from './find-late.js';
import { incomingRelation, mergeShipments } from './merge-shipments.js';
import { planAggregateColumns } from './plan-aggregate-columns.js';
import { planColumns } from './plan-columns.js';
import { planLate } from './plan-late.js';
import { planMisfits } from './plan-decimals.js';
import type { StagedShipment } from './staging.js';
import { writeDay, type DayChange } from './write-day.js';

export interface PreparationTask {
  /** Undefined when there is no such table yet. */
  readonly state: TableState | undefined;
  /** In the order of the commit. */
  readonly shipments: readonly StagedShipment[];
  readonly dataFiles: DataFiles;
  readonly limits: IngestLimits;
  /** The newest rows of the table's series, for that version; undefined when they are not known. */
  readonly marks: LatestRows | undefined;
  readonly seriesMax: number;
  readonly nowMs: number;
  /** A new name for a local file. */
  readonly newPath: () => string;
}

export interface PreparedFile extends CommittedFile {
  readonly localPath: string;
}

export interface PreparedCommit {
  /** Those that keep the contract. None: there is nothing to commit. */
  readonly shipments: readonly InboxObject[];
  readonly rejections: readonly Rejection[];
  /** Rows of the shipments, before those that replace each other are merged. */
  readonly rowCount: number;
  /** Given when the table does not have them yet, or is to show other quantiles. */
  readonly newColumns: TableColumns | undefined;
  /** Of a table of aggregates. */
  readonly aggregate: AggregateFacts | undefined;
  /** In order of their days; none when the shipments are empty. */
  readonly files: readonly PreparedFile[];
  /** What the rows say of each series; undefined for aggregates, and for more series than are kept. */
  readonly newest: readonly SeriesRows[] | undefined;
  /** Values that did not fit their columns. */
  readonly conflicts: readonly ConflictCount[];
}

export async function prepareCommit(session: Session, task: PreparationTask): Promise<PreparedCommit> {
  const { state, shipments } = task;
  const { kind, rawTables, ...loaded } = await loadShipments(
    session,
    kindOfTable(state),
    shipments,
    task.limits,
  );
  const aggregate = kind === 'rows' ? undefined : kind;
  const rawColumns = rawTables.map(({ columns }) => columns);
  const plan = aggregate
    ? planAggregateColumns(state?.columns, rawColumns)
    : await planMisfits(session, rawTables, planColumns(state?.columns, rawColumns));
  const agents = shipments.map(({ object }) => object.parts.agent);
  const conflicts = await countConflicts(session, rawTables, plan, agents);
  const days = rawTables.length > 0 ? await mergeShipments(session, rawTables, plan) : [];
  const newest =
    aggregate || days.length === 0
      ? undefined
      : await readNewest(session, incomingRelation, plan.columns, task.seriesMax);
  const late = await findLate(session, plan.columns, days, planLate(newest, state ? task.marks : new Map()));
  const files: PreparedFile[] = [];
  for (const incoming of days) {
    const localPath = task.newPath();
    const liveFiles = state?.files.values() ?? [];
    const { dataFiles } = task;
    const day = {
      dataFiles,
      liveFiles,
      columns: plan.columns,
      incoming,
      late: late.get(incoming.day),
      localPath,
    };
    files.push(toPreparedFile(await writeDay(session, day)));
  }
  const isChanged = plan.hasNewColumns || (state !== undefined && showsMore(state.aggregate, aggregate));
  const newColumns = isChanged ? nameSides(plan.columns, state?.columns, conflicts, task.nowMs) : undefined;
  const { objects, rejections, rowCount } = loaded;
  return {
    shipments: objects,
    rejections,
    rowCount,
    newColumns,
    aggregate,
    files,
    newest: days.length > 0 ? newest : [],
    conflicts,
  };
}

function showsMore(table: AggregateFacts | undefined, shipments: AggregateFacts | undefined): boolean {
  return shipments?.quantiles?.length !== table?.quantiles?.length;
}

function toPreparedFile({ day, written, replaced, hasReadFiles }: DayChange): PreparedFile {
  // A name that no other commit, try or process gives to a file.
  return { ...written, day, path: dataFilePath(day, randomUUID()), replaced, hasReadFiles };
}
