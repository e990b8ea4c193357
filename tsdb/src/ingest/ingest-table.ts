/**
 * One table's turn: what waits for it becomes one commit.
 *
 * 1. Refresh the table, so that the plan starts from the newest version.
 * 2. Plan: which shipments, in which order (`planIngest`). Those that the table has already are deleted.
 * 3. Download them, read them, put the broken ones into quarantine, and write one data file per day (`prepareCommit`).
 * 4. Upload the data files. Nothing refers to them yet.
 * 5. THE COMMIT POINT: one put-if-absent of the next version, with the rows, what they replace, and each lane's position.
 * 6. Afterwards the shipments' objects are deleted.
 *
 * Killed between any two steps, the next turn finds the truth in the log's transactions and repeats what is not in it.
 * Files uploaded for a commit that never happened stay behind, and vacuum removes them: DESIGN I8.
 *
 * When somebody else took the version, everything is planned anew. When the commit's outcome is unknown, nothing is
 * deleted: the next turn sees whether it is in the log.
 */
import { planBackoffMs } from '@varve/common/backoff.js';
import type { Clock } from '@varve/common/clock.js';
import { dataFileKey, type TableName } from '@varve/common/contract/object-keys.js';
import { isFailure, messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { Store } from '@varve/common/store/store.js';
import { requireWritable } from '../delta/actions.js';
import { mapBounded } from '../delta/bounded.js';
import type { DeltaCatalog } from '../delta/catalog.js';
import type { DataFiles } from '../delta/data-files.js';
import type { DeltaLog } from '../delta/delta-log.js';
import type { DuckDb } from '../delta/duckdb.js';
import type { TableState } from '../delta/replay.js';
import { formatTableName } from '../delta/table-metadata.js';
import type { LatestRows } from '../latest/series.js';
import { seriesMaxDefault, type SeriesRegister } from '../latest/series-register.js';
import { formatActions, summarise, type CommitContent } from './commit-actions.js';
import type { ConflictBook } from './conflict-book.js';
import type { IngestLimits } from './ingest-limits.js';
import type { IngestMetrics } from './ingest-metrics.js';
import type { InboxObject } from './list-inbox.js';
import type { Rejection } from './load-shipments.js';
import { planPastQuarantine } from './pass-quarantine.js';
import { groupByLane, type LaneGap } from './plan-ingest.js';
import { prepareCommit, type PreparedCommit, type PreparedFile } from './prepare-commit.js';
import { quarantine } from './quarantine.js';
import { Staging, type StagedShipment } from './staging.js';

/** What a table's turn works with; the same for all tables. */
export interface IngestContext {
  readonly store: Store;
  readonly catalog: DeltaCatalog;
  readonly deltaLog: DeltaLog;
  readonly dataFiles: DataFiles;
  readonly duckDb: DuckDb;
  readonly register: SeriesRegister;
  readonly conflicts: ConflictBook;
  readonly stagingFolder: string;
  readonly limits: IngestLimits;
  readonly metrics: IngestMetrics;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

export interface TableReport {
  readonly name: TableName;
  readonly shipmentsCommitted: number;
  readonly rowsCommitted: number;
  readonly quarantined: number;
  readonly gaps: readonly LaneGap[];
  /** More could have been committed, but for the limits. */
  readonly hasMore: boolean;
}

const conflictBackoff = { firstMs: 20, maxMs: 1_000 };

/** What one turn has learned; kept when its commit is planned anew. */
interface Turn {
  readonly context: IngestContext;
  readonly name: TableName;
  readonly staging: Staging;
  /** Shrinks by what goes into quarantine. */
  waiting: readonly InboxObject[];
  quarantinedCount: number;
}

/** `waiting` is what waits for the table. @throws Failure; what was not committed then still waits */
export async function ingestTable(
  context: IngestContext,
  name: TableName,
  waiting: readonly InboxObject[],
  signal?: AbortSignal,
): Promise<TableReport> {
  const { store, stagingFolder, limits, clock, random } = context;
  const staging = new Staging(store, stagingFolder, limits.transfersAtOnceMax);
  const turn: Turn = { context, name, staging, waiting, quarantinedCount: 0 };
  try {
    await staging.open();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await tryIngest(turn);
      } catch (error) {
        const mayTryAgain = attempt < limits.commitTriesMax && signal?.aborted !== true;
        if (!isFailure(error, 'commit_conflict') || !mayTryAgain) throw error;
        await clock.sleep(planBackoffMs(attempt, conflictBackoff, random()), signal);
      }
    }
  } finally {
    await staging.close();
  }
}

async function tryIngest(turn: Turn): Promise<TableReport> {
  const { context, name, staging } = turn;
  const { store, catalog, limits } = context;
  const state = await catalog.refreshTable(name);
  if (state) requireWritable(formatTableName(name), state);
  const lanes = groupByLane(turn.waiting, state?.transactions ?? new Map());
  const plan = await planPastQuarantine(store, lanes, limits);
  await deleteAll(store, plan.alreadyCommitted);
  const startedMs = context.clock.monotonicMs();
  const prepared = await prepare(turn, state, await staging.fetch(plan.commit));
  if (prepared.shipments.length > 0) {
    await commit(context, name, state, prepared);
    context.metrics.commitSeconds.observe((context.clock.monotonicMs() - startedMs) / 1_000);
    await deleteAll(store, prepared.shipments);
  }
  return {
    name,
    shipmentsCommitted: prepared.shipments.length,
    rowsCommitted: prepared.rowCount,
    quarantined: turn.quarantinedCount,
    gaps: plan.gaps,
    hasMore: plan.isCut,
  };
}

const nothing: PreparedCommit = {
  shipments: [],
  rejections: [],
  rowCount: 0,
  newColumns: undefined,
  aggregate: undefined,
  files: [],
  newest: [],
  conflicts: [],
};

/** Step 3. Broken shipments are in quarantine before a commit passes over them. */
async function prepare(
  turn: Turn,
  state: TableState | undefined,
  shipments: readonly StagedShipment[],
): Promise<PreparedCommit> {
  if (shipments.length === 0) return nothing;
  const { dataFiles, limits, duckDb } = turn.context;
  const marks = state && (await readMarks(turn.context, state));
  const options = { limits, marks, seriesMax: seriesMaxDefault, nowMs: turn.context.clock.nowMs() };
  const task = { state, shipments, dataFiles, ...options, newPath: () => turn.staging.newPath() };
  const prepared = await duckDb.withSession((session) => prepareCommit(session, task));
  for (const rejection of prepared.rejections) await putAside(turn, rejection);
  return prepared;
}

/** Without them every row is looked at: slower, and as right. */
async function readMarks(
  { register, log }: IngestContext,
  state: TableState,
): Promise<LatestRows | undefined> {
  try {
    return await register.marks(state);
  } catch (error) {
    if (!isFailure(error)) throw error;
    log.warn({ table: formatTableName(state.name), err: error }, 'the newest rows are not known');
    return undefined;
  }
}

async function putAside(turn: Turn, { staged, failure }: Rejection): Promise<void> {
  const { store, clock, metrics, log } = turn.context;
  const { key, bytes } = staged.object;
  await quarantine(store, { key, bytes, path: staged.path, failure }, clock.nowMs());
  turn.waiting = turn.waiting.filter((object) => object.key !== key);
  turn.quarantinedCount += 1;
  metrics.quarantined.inc();
  log.warn({ key, reason: failure.message }, 'a shipment breaks the contract; it is in quarantine');
}

async function deleteAll(store: Store, objects: readonly InboxObject[]): Promise<void> {
  if (objects.length > 0) await store.delete(objects.map(({ key }) => key));
}

async function commit(
  context: IngestContext,
  name: TableName,
  state: TableState | undefined,
  prepared: PreparedCommit,
): Promise<void> {
  const { catalog, deltaLog, metrics, clock } = context;
  const changesRows = prepared.files.some(({ replaced }) => replaced.length > 0);
  if (state && changesRows) requireWritable(formatTableName(name), state, { changesRows });
  const content: CommitContent = { ...prepared, name, state, nowMs: clock.nowMs() };
  const version = (state?.version ?? -1) + 1;
  const keys = await upload(context, name, prepared.files);
  try {
    const { actions } = await deltaLog.commit(name, version, summarise(content), formatActions(content));
    catalog.applied(name, version, actions);
    const committed = catalog.get(name);
    if (committed?.version === version) context.register.written(committed, prepared.newest);
  } catch (error) {
    // Only here it is certain that no version refers to them, nor ever will.
    if (isFailure(error, 'commit_conflict')) await context.store.delete(keys);
    throw error;
  }
  metrics.shipmentsCommitted.inc(prepared.shipments.length);
  metrics.rowsCommitted.inc(prepared.rowCount);
  context.conflicts.add(name, prepared.conflicts);
  await adoptAll(context, name, prepared.files);
}

/** Returns the keys. */
async function upload(
  { store, limits }: IngestContext,
  name: TableName,
  files: readonly PreparedFile[],
): Promise<string[]> {
  return await mapBounded(files, limits.transfersAtOnceMax, async ({ path, localPath }) => {
    const key = dataFileKey(name, path);
    await store.putIfAbsent(key, { path: localPath });
    return key;
  });
}

/** The commit is done; a copy that is not kept is fetched when it is needed. */
async function adoptAll(
  { dataFiles, log }: IngestContext,
  name: TableName,
  files: readonly PreparedFile[],
): Promise<void> {
  for (const { path, localPath } of files)
    try {
      await dataFiles.adopt(dataFileKey(name, path), localPath);
    } catch (error) {
      log.warn({ path, reason: messageOf(error) }, 'a new data file could not be kept locally');
    }
}
