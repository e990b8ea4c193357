/**
 * Makes a table what it was: one commit that removes what came since and adds again what was there (Delta's RESTORE).
 *
 * 1. The old version is read, with the `add` of each of its files as it stands in the log.
 * 2. Every file that comes back must still be in the store; vacuum may have deleted it.
 * 3. THE COMMIT POINT: the next version. Its columns are those of the old one. Positions of lanes do not go back: what an
 *    agent shipped since does not come again.
 *
 * Nothing is lost by it: the version before can be restored in the same way.
 */
import type { Clock } from '@varve/common/clock.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import { requireWritable, type Action, type Add } from './actions.js';
import type { DeltaCatalog } from './catalog.js';
import type { DeltaLog } from './delta-log.js';
import { removeAction } from './file-actions.js';
import { findMissingFiles } from './find-missing-files.js';
import { versionExpired } from './log-reader.js';
import type { TableState } from './replay.js';
import type { DataFile, Snapshot } from './snapshot.js';
import { formatTableName } from './table-metadata.js';

export interface RestoreContext {
  readonly store: Store;
  readonly catalog: DeltaCatalog;
  readonly deltaLog: DeltaLog;
  readonly clock: Clock;
}

export interface RestoreReport {
  readonly version: number;
  /** The version that the restore made; undefined of a dry run, and where nothing was to be done. */
  readonly newVersion: number | undefined;
  readonly filesAdded: number;
  readonly filesRemoved: number;
  readonly rowsBefore: number;
  readonly rowsAfter: number;
}

export interface RestorePlan {
  readonly added: readonly DataFile[];
  readonly removed: readonly DataFile[];
  readonly hasOtherColumns: boolean;
}

export function planRestore(current: TableState, target: TableState): RestorePlan {
  return {
    added: [...target.files.values()].filter(({ path }) => !current.files.has(path)),
    removed: [...current.files.values()].filter(({ path }) => !target.files.has(path)),
    hasOtherColumns: current.metaData.schemaString !== target.metaData.schemaString,
  };
}

const commitTriesMax = 20;
const missingNamedMax = 20;

/** @throws Failure `version_expired` naming the files that are gone, `version_not_found`, `table_unreadable`, … */
export async function restoreTable(
  context: RestoreContext,
  name: TableName,
  version: number,
  { isDryRun }: { readonly isDryRun: boolean },
): Promise<RestoreReport> {
  const { store, catalog, deltaLog, clock } = context;
  const adds = new Map<string, Add>();
  const { state: target } = await catalog.reader.readAt(name, { version }, (add) => adds.set(add.path, add));
  for (let tries = 1; ; tries += 1) {
    const current = (await catalog.refreshTable(name)) ?? target;
    const plan = planRestore(current, target);
    await requireFiles(store, name, version, plan);
    const report = describe(version, plan, current, target);
    if (isDryRun || isNothing(plan)) return report;
    requireWritable(formatTableName(name), current, { changesRows: plan.removed.length > 0 });
    try {
      const actions = formatActions(plan, { adds, current, target, nowMs: clock.nowMs() });
      const commit = await deltaLog.commit(name, current.version + 1, summarise(report), actions);
      catalog.applied(name, commit.version, commit.actions);
      return { ...report, newVersion: commit.version };
    } catch (error) {
      if (!isFailure(error, 'commit_conflict') || tries >= commitTriesMax) throw error;
    }
  }
}

const isNothing = ({ added, removed, hasOtherColumns }: RestorePlan) =>
  added.length + removed.length === 0 && !hasOtherColumns;

async function requireFiles(
  store: Store,
  name: TableName,
  version: number,
  { added }: RestorePlan,
): Promise<void> {
  const missing = await findMissingFiles(store, name, added);
  if (missing.length === 0) return;
  const failure = versionExpired(name, version, `${missing.length} of its files have been vacuumed`);
  const files = missing.slice(0, missingNamedMax).map(({ path }) => path);
  throw new Failure('version_expired', `${failure.message}: ${files.join(', ')}`, {
    hint: 'choose a newer version; pin versions that are to stay',
    facts: { ...failure.facts, files },
  });
}

function formatActions(
  { added, removed, hasOtherColumns }: RestorePlan,
  scene: {
    readonly adds: ReadonlyMap<string, Add>;
    readonly current: TableState;
    readonly target: TableState;
    readonly nowMs: number;
  },
): Action[] {
  const { adds, current, target, nowMs } = scene;
  const metaData = { ...current.metaData, schemaString: target.metaData.schemaString };
  return [
    ...(hasOtherColumns ? [{ metaData }] : []),
    ...removed.map((file) => removeAction(file, { nowMs, dataChange: true })),
    ...added.flatMap(({ path }): Action[] => {
      const add = adds.get(path);
      return add ? [{ add: { ...add, dataChange: true } }] : [];
    }),
  ];
}

function rowCountOf({ files }: Snapshot): number {
  let rows = 0;
  for (const { rowCount } of files.values()) rows += rowCount;
  return rows;
}

function describe(
  version: number,
  { added, removed }: RestorePlan,
  current: TableState,
  target: TableState,
): RestoreReport {
  return {
    version,
    newVersion: undefined,
    filesAdded: added.length,
    filesRemoved: removed.length,
    rowsBefore: rowCountOf(current),
    rowsAfter: rowCountOf(target),
  };
}

function summarise({ version, filesAdded, filesRemoved }: RestoreReport) {
  return {
    operation: 'RESTORE' as const,
    operationParameters: { version: String(version) },
    operationMetrics: { numRestoredFiles: String(filesAdded), numRemovedFiles: String(filesRemoved) },
    isBlindAppend: false,
  };
}
