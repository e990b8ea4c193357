/**
 * The log of a Delta table: `_delta_log/<version>.json`, contiguous from 0.
 *
 * A commit:
 *
 * 1. Everything the commit refers to is durable in the store already.
 * 2. THE COMMIT POINT of the whole program (DESIGN I6): `putIfAbsent` of the next version's file. Whoever creates it has
 *    committed; everybody else has not.
 * 3. `exists` may be our own file, when an earlier try landed and its answer was lost. The file is read back, and the
 *    random `commitInfo.txnId` in it says whose it is.
 * 4. A transient failure leaves the outcome unknown. If the file can be read, its token decides as in 3; otherwise the
 *    failure is passed on, and the caller must treat the commit as neither done nor failed: what it wrote for the commit
 *    stays, and the `txn` actions of a later version tell whether it is in.
 *
 * A writer that was stopped for longer than the log is kept would find its version free again, because somebody cleaned it
 * up. So after a pause the newest checkpoint is looked at too: a version below it is no commit, and is taken back.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '@varve/common/clock.js';
import { deltaCommitKey, type TableName } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import { formatCommit, tokenOf, type Action } from './actions.js';
import { readLastCheckpoint } from './last-checkpoint.js';
import { listLog, requireContiguous } from './log-listing.js';
import { readCommit, readCommits, type Commit } from './read-commits.js';
import { formatTableName } from './table-metadata.js';

export type { Commit } from './read-commits.js';

const engineInfo = 'varve-tsdb';

/** Far below any log retention. */
const pauseMsMin = 10 * 60_000;

/** What `commitInfo` tells other engines and people of a commit. */
export interface CommitSummary {
  readonly operation: 'STREAMING UPDATE' | 'MERGE' | 'OPTIMIZE' | 'DELETE' | 'RESTORE';
  /** Values as Spark expects them: text. */
  readonly operationParameters: Readonly<Record<string, string>>;
  readonly operationMetrics: Readonly<Record<string, string>>;
  /** Only when the commit depends on no file of the table: other writers then need not look for conflicts. */
  readonly isBlindAppend: boolean;
}

export class DeltaLog {
  readonly #store: Store;
  readonly #clock: Clock;
  /** By table. */
  readonly #lastCommitMs = new Map<string, number>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** One request, for the ordinary case that there is nothing new. */
  async hasVersion(name: TableName, version: number): Promise<boolean> {
    return (await this.#store.head(deltaCommitKey(name, version))) !== undefined;
  }

  /**
   * The commits after `afterVersion` (-1 for all), in order. None when the table does not exist.
   * @throws Failure `table_unreadable` when a version is missing in between or a file is no commit
   */
  async *readTail(name: TableName, afterVersion: number): AsyncGenerator<Commit> {
    const { commits } = await listLog(this.#store, name, afterVersion + 1);
    const versions = commits.map(({ version }) => version);
    requireContiguous(name, versions, afterVersion + 1);
    yield* readCommits(this.#store, name, versions);
  }

  /**
   * Makes `actions` version `version` of the table, as steps 2 to 4 above. Returns what the log now says, `commitInfo`
   * included. @throws Failure `commit_conflict` when somebody else has the version; a transient one when the outcome is
   * unknown
   */
  async commit(
    name: TableName,
    version: number,
    summary: CommitSummary,
    actions: readonly Action[],
  ): Promise<Commit> {
    const token = randomUUID();
    const commit = { version, actions: [this.#commitInfo(version, summary, token), ...actions] };
    const isOurs =
      (await this.#tryPut(name, commit)) ||
      tokenOf((await readCommit(this.#store, name, version)).actions) === token;
    if (isOurs && (await this.#isAfterCheckpoint(name, version))) return commit;
    throw new Failure('commit_conflict', `version ${version} of ${formatTableName(name)} is taken`, {
      facts: { table: formatTableName(name), version },
    });
  }

  /** Looks only after a pause. What is below the newest checkpoint is taken back: nobody reads it. */
  async #isAfterCheckpoint(name: TableName, version: number): Promise<boolean> {
    const [table, nowMs] = [formatTableName(name), this.#clock.nowMs()];
    const lastMs = this.#lastCommitMs.get(table) ?? -Infinity;
    this.#lastCommitMs.set(table, nowMs);
    if (Math.abs(nowMs - lastMs) < pauseMsMin || version === 0) return true;
    if (version > ((await readLastCheckpoint(this.#store, name)) ?? -1)) return true;
    await this.#store.delete([deltaCommitKey(name, version)]);
    return false;
  }

  /** True when created by this call; false when the file must be read to know whose it is. */
  async #tryPut(name: TableName, { version, actions }: Commit): Promise<boolean> {
    const key = deltaCommitKey(name, version);
    const bytes = Buffer.from(formatCommit(actions));
    try {
      return (await this.#store.putIfAbsent(key, bytes)) === 'created';
    } catch (error) {
      if (!isFailure(error) || error.kind !== 'transient') throw error;
      if (await this.hasVersion(name, version)) return false;
      throw error;
    }
  }

  #commitInfo(version: number, summary: CommitSummary, txnId: string): Action {
    const timestamp = this.#clock.nowMs();
    // delta-rs reads `readVersion` as unsigned: version 0, which read none, leaves it out.
    const readVersion = version > 0 && { readVersion: version - 1 };
    return {
      commitInfo: {
        timestamp,
        ...summary,
        ...readVersion,
        isolationLevel: 'Serializable',
        engineInfo,
        txnId,
      },
    };
  }
}
