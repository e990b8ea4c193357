/**
 * Reads a table's log to a snapshot: from the newest checkpoint that can be used, and the commits after it.
 *
 * 1. `_last_checkpoint` says where to begin listing; it is a hint, and without a good one everything is listed.
 * 2. A checkpoint that is torn or gone is passed over: an older one and more commits give the same snapshot.
 * 3. Only when there is no way left the table cannot be read, and the first thing that was wrong is the reason.
 */
import type { TableName } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import type { Add, Remove } from './actions.js';
import type { CheckpointFiles } from './checkpoint-files.js';
import { isUnusable, readCheckpoint, readTombstones } from './checkpoint-reader.js';
import { readLastCheckpoint } from './last-checkpoint.js';
import { listLog, planLogRead, type Checkpoint, type LogListing, type LogReadPlan } from './log-listing.js';
import { oldestReadable } from './versions.js';
import { readCommits } from './read-commits.js';
import { Replay, type LogFold, type TableState } from './replay.js';
import { formatTableName } from './table-metadata.js';

export type VersionTarget = { readonly version: number } | { readonly timeMs: number };

export interface PastState {
  readonly state: TableState;
  /** When the next version came; undefined for the newest. */
  readonly replacedMs: number | undefined;
}

export class LogReader {
  readonly #store: Store;
  readonly #files: CheckpointFiles;

  constructor(store: Store, files: CheckpointFiles) {
    this.#store = store;
    this.#files = files;
  }

  /** Undefined when there is no such table. @throws Failure `table_unreadable`, or the store's */
  async readNewest(name: TableName): Promise<TableState | undefined> {
    return await this.fold(name, () => new Replay(name));
  }

  /** What the newest version of a log becomes, or that of `version`; begun anew when a checkpoint is no good. As `readNewest` */
  async fold<Result>(
    name: TableName,
    begin: () => LogFold<Result>,
    version?: number,
  ): Promise<Result | undefined> {
    const hint = version === undefined ? await readLastCheckpoint(this.#store, name) : undefined;
    if (hint !== undefined) {
      const listing = await listLog(this.#store, name, hint);
      try {
        if (listing.checkpoints.length > 0) return await this.#foldListed(name, listing, begin);
      } catch (error) {
        if (!isUnusable(error) && !isFailure(error, 'table_unreadable')) throw error;
      }
    }
    return await this.#foldListed(name, await listLog(this.#store, name), begin, version);
  }

  /**
   * The snapshot that a version was; by time, that of the last commit that the store took until then. `onAdd` sees every
   * `add` on the way, as it stands in the log.
   * @throws Failure `version_not_found`, `version_expired`, or as `readNewest`
   */
  async readAt(name: TableName, target: VersionTarget, onAdd?: (add: Add) => void): Promise<PastState> {
    const listing = await listLog(this.#store, name);
    const version = 'version' in target ? target.version : versionAt(name, listing, target.timeMs);
    requireVersion(name, listing, version);
    const state = await this.#foldListed(name, listing, () => new Replay(name, undefined, onAdd), version);
    if (state?.version !== version) throw versionExpired(name, version);
    const next = listing.commits.find((commit) => commit.version > version);
    return { state, replacedMs: next?.modifiedMs };
  }

  /** Files that were removed after `sinceMs`, by path, as far as the log still knows. */
  async readRemoved(name: TableName, sinceMs: number): Promise<Set<string>> {
    const { checkpoint, commits } = planLogRead(name, await listLog(this.#store, name));
    const removed = new Set<string>();
    const note = ({ path, deletionTimestamp }: Remove) => {
      // One that does not say when counts as new.
      if ((deletionTimestamp ?? Infinity) > sinceMs) removed.add(path);
    };
    if (checkpoint) await readTombstones(this.#files, checkpoint, note);
    for await (const { actions } of readCommits(this.#store, name, commits))
      for (const action of actions) if ('remove' in action) note(action.remove);
    return removed;
  }

  async #foldListed<Result>(
    name: TableName,
    listing: LogListing,
    begin: () => LogFold<Result>,
    version?: number,
  ): Promise<Result | undefined> {
    const unusable = new Set<Checkpoint>();
    let firstFailure: unknown;
    for (;;) {
      let plan: LogReadPlan;
      try {
        plan = planLogRead(name, listing, { version, unusable });
      } catch (error) {
        throw firstFailure ?? error;
      }
      try {
        return await this.#follow(name, plan, begin());
      } catch (error) {
        if (!plan.checkpoint || !isUnusable(error)) throw error;
        firstFailure ??= error;
        unusable.add(plan.checkpoint);
      }
    }
  }

  async #follow<Result>(
    name: TableName,
    { checkpoint, commits }: LogReadPlan,
    fold: LogFold<Result>,
  ): Promise<Result | undefined> {
    if (checkpoint)
      await readCheckpoint(this.#files, checkpoint, {
        begin: (actions) => fold.begin(checkpoint.version, actions),
        add: (add) => fold.add(add),
      });
    for await (const { version, actions } of readCommits(this.#store, name, commits))
      fold.apply(version, actions);
    return fold.version < 0 ? undefined : fold.finish();
  }
}

function versionAt(name: TableName, { commits }: LogListing, timeMs: number): number {
  // Times of the store's clock, which other clocks may have set: the log's order counts.
  const version = commits.findLast(({ modifiedMs }) => modifiedMs <= timeMs)?.version;
  if (version !== undefined) return version;
  const time = new Date(timeMs).toISOString();
  const [oldest] = commits;
  if (oldest?.version === 0)
    throw new Failure('version_not_found', `table ${formatTableName(name)} was not there yet at ${time}`, {
      hint: `its first version is of ${new Date(oldest.modifiedMs).toISOString()}`,
      facts: { table: formatTableName(name), time },
    });
  throw new Failure('version_expired', `no version of ${formatTableName(name)} is as old as ${time}`, {
    hint: 'list the versions that are left with GET /api/v1/tables/{table}/versions',
    facts: { table: formatTableName(name), time },
  });
}

/** Tells a version that is no more from one that never was. */
function requireVersion(name: TableName, { commits, checkpoints }: LogListing, version: number): void {
  const newest = Math.max(commits.at(-1)?.version ?? -1, checkpoints.at(-1)?.version ?? -1);
  if (version > newest)
    throw new Failure(
      'version_not_found',
      `table ${formatTableName(name)} has no version ${version}; its newest is ${newest}`,
      { facts: { table: formatTableName(name), version, newest } },
    );
  const oldest = oldestReadable({ commits, checkpoints, keys: [], v2Checkpoints: [] }) ?? Infinity;
  const hasCheckpoint = checkpoints.some((checkpoint) => checkpoint.version === version);
  const hasCommit = version >= oldest && commits.some((commit) => commit.version === version);
  if (!hasCheckpoint && !hasCommit) throw versionExpired(name, version);
}

export function versionExpired(
  name: TableName,
  version: number,
  why = 'its log has been cleaned up',
): Failure {
  return new Failure(
    'version_expired',
    `version ${version} of table ${formatTableName(name)} can no longer be read: ${why}`,
    {
      hint: 'list the versions that are left with GET /api/v1/tables/{table}/versions; pin those that are to stay',
      facts: { table: formatTableName(name), version },
    },
  );
}
