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
 * Checkpoints are not written yet, and not read: a log whose first versions have been cleaned up is `table_unreadable`.
 * They belong in `readTail`, as another place to begin.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '@varve/common/clock.js';
import {
  deltaCommitKey,
  deltaLogPrefix,
  parseDeltaCommitVersion,
  type TableName,
} from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import { formatCommit, parseCommit, tokenOf, type Action } from './actions.js';
import { formatTableName } from './table-metadata.js';

/** Requests under way at a time when a log is read. */
const getsAtOnceMax = 16;

const engineInfo = 'varve-tsdb';

export interface Commit {
  readonly version: number;
  readonly actions: readonly Action[];
}

/** What `commitInfo` tells other engines and people of a commit. */
export interface CommitSummary {
  readonly operation: 'STREAMING UPDATE' | 'MERGE' | 'OPTIMIZE' | 'DELETE';
  /** Values as Spark expects them: text. */
  readonly operationParameters: Readonly<Record<string, string>>;
  readonly operationMetrics: Readonly<Record<string, string>>;
  /** Only when the commit depends on no file of the table: other writers then need not look for conflicts. */
  readonly isBlindAppend: boolean;
}

export class DeltaLog {
  readonly #store: Store;
  readonly #clock: Clock;

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
    const versions = await this.#listVersions(name, afterVersion);
    for (let start = 0; start < versions.length; start += getsAtOnceMax) {
      const window = versions.slice(start, start + getsAtOnceMax);
      yield* await Promise.all(window.map((version) => this.#read(name, version)));
    }
  }

  async #listVersions(name: TableName, afterVersion: number): Promise<number[]> {
    const options = afterVersion < 0 ? {} : { startAfter: deltaCommitKey(name, afterVersion) };
    const versions: number[] = [];
    for await (const { key } of this.#store.list(deltaLogPrefix(name), options)) {
      const version = parseDeltaCommitVersion(key);
      if (version !== undefined) versions.push(version);
    }
    requireContiguous(name, versions, afterVersion + 1);
    return versions;
  }

  async #read(name: TableName, version: number): Promise<Commit> {
    const key = deltaCommitKey(name, version);
    return { version, actions: parseCommit(key, Buffer.from(await this.#store.get(key)).toString('utf8')) };
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
    if (await this.#tryPut(name, commit)) return commit;
    const winner = await this.#read(name, version);
    if (tokenOf(winner.actions) === token) return commit;
    throw new Failure('commit_conflict', `version ${version} of ${formatTableName(name)} is taken`, {
      facts: { table: formatTableName(name), version },
    });
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

function requireContiguous(name: TableName, versions: readonly number[], firstVersion: number): void {
  const gapAt = versions.findIndex((version, index) => version !== firstVersion + index);
  if (gapAt < 0) return;
  const missingVersion = firstVersion + gapAt;
  throw new Failure(
    'table_unreadable',
    `version ${missingVersion} of ${formatTableName(name)} is missing from its log`,
    {
      hint: `restore ${deltaCommitKey(name, missingVersion)} from a backup`,
      facts: { table: formatTableName(name), version: missingVersion },
    },
  );
}
