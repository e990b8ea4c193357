/**
 * Keeps logs short, in the background: checkpoints, so that a table opens quickly, and clean-up of what no reader needs.
 *
 * 1. A table gets a checkpoint `checkpointEvery` commits after the last one, from the process that committed; when that is
 *    gone, from any other `abandonedAfter` commits after it. One at a time in a process, never in the way of a commit.
 * 2. Now and then, commits and checkpoints older than the table's `delta.logRetentionDuration` are deleted
 *    (`planLogCleanup`), oldest first. Retention is judged by the store's clock and ours: neither alone deletes.
 *
 * Killed anywhere, the log can be read; what was not done is done in the next round. A table that another writer raised to
 * features we do not know is left alone.
 */
import type { Clock } from '@varve/common/clock.js';
import { isFailure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { Store } from '@varve/common/store/store.js';
import { isWritable } from './actions.js';
import type { DeltaCatalog } from './catalog.js';
import { writeCheckpoint } from './checkpoint-writer.js';
import { logRetentionMs } from './intervals.js';
import { readLastCheckpoint } from './last-checkpoint.js';
import { listLog } from './log-listing.js';
import { listPins } from './pins.js';
import { planLogCleanup } from './plan-log-cleanup.js';
import type { TableState } from './replay.js';
import { formatTableName } from './table-metadata.js';

export interface LogKeeperOptions {
  readonly store: Store;
  readonly catalog: DeltaCatalog;
  readonly clock: Clock;
  readonly log: Logger;
}

const everyMs = 2_000;
const cleanupEveryMs = 3_600_000;
/** `delta.checkpointInterval` of our tables. */
export const checkpointEvery = 20;
const abandonedAfter = 100;

export interface CheckpointState {
  readonly version: number;
  /** -1 for none. */
  readonly checkpointVersion: number;
  /** The newest version that this process committed; -1 for none. */
  readonly ownVersion: number;
}

export function isCheckpointDue({ version, checkpointVersion, ownVersion }: CheckpointState): boolean {
  const commits = version - checkpointVersion;
  return commits >= abandonedAfter || (commits >= checkpointEvery && ownVersion > checkpointVersion);
}

export class LogKeeper {
  readonly #options: LogKeeperOptions;
  /** By table. */
  readonly #checkpointVersions = new Map<string, number>();
  readonly #cleanedUpMs = new Map<string, number>();
  readonly #failed = new Set<string>();

  constructor(options: LogKeeperOptions) {
    this.#options = options;
  }

  /** Rounds until `signal` aborts; the checkpoint under way is finished first. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#options.clock.sleep(everyMs, signal);
      await this.runOnce(signal);
    }
  }

  /** One round over all tables. A table that fails is logged and comes again in the next round. */
  async runOnce(signal?: AbortSignal): Promise<void> {
    const { catalog, log } = this.#options;
    for (const state of catalog.current()) {
      if (signal?.aborted) return;
      const table = formatTableName(state.name);
      try {
        if (isWritable(state)) await this.#keep(state, table);
        this.#failed.delete(table);
      } catch (error) {
        if (!isFailure(error)) throw error;
        if (!this.#failed.has(table)) log.warn({ table, err: error }, 'a log could not be kept short; later');
        this.#failed.add(table);
      }
    }
  }

  async #keep(state: TableState, table: string): Promise<void> {
    const { store, catalog, clock } = this.#options;
    let known = this.#checkpointVersions.get(table);
    known ??= (await readLastCheckpoint(store, state.name)) ?? -1;
    this.#checkpointVersions.set(table, known);
    const { version, name } = state;
    if (isCheckpointDue({ version, checkpointVersion: known, ownVersion: catalog.ownVersion(name) })) {
      const nowMs = clock.nowMs();
      await writeCheckpoint({ store, files: catalog.checkpointFiles, state, nowMs, sinceVersion: known });
      this.#checkpointVersions.set(table, version);
    }
    await this.#cleanUp(state, table);
  }

  async #cleanUp(state: TableState, table: string): Promise<void> {
    const { clock, log } = this.#options;
    const nowMs = clock.nowMs();
    if (Math.abs(nowMs - (this.#cleanedUpMs.get(table) ?? -Infinity)) < cleanupEveryMs) return;
    const deleted = await cleanUpLog(this.#options.store, state, nowMs);
    this.#cleanedUpMs.set(table, nowMs);
    if (deleted > 0) log.info({ table, deleted }, 'old versions of a log have been deleted');
  }
}

const deletedAtOnce = 1_000;

/** Returns the number of files deleted. */
export async function cleanUpLog(store: Store, state: TableState, nowMs: number): Promise<number> {
  const listing = await listLog(store, state.name);
  // The newest commit was made before now: a clock of ours that runs ahead of the store's counts no further than that.
  const newestMs = listing.commits.at(-1)?.modifiedMs ?? -Infinity;
  const cutoffMs = Math.min(nowMs, newestMs) - logRetentionMs(state.metaData);
  const keys = planLogCleanup(listing, cutoffMs, await listPins(store, state.name));
  for (let start = 0; start < keys.length; start += deletedAtOnce)
    await store.delete(keys.slice(start, start + deletedAtOnce));
  return keys.length;
}
