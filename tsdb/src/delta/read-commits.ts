/**
 * Commits read back, in order, several requests at a time.
 */
import { deltaCommitKey, type TableName } from '@varve/common/contract/object-keys.js';
import type { Store } from '@varve/common/store/store.js';
import { parseCommit, type Action } from './actions.js';

/** Requests under way at a time when a log is read. */
const getsAtOnceMax = 16;

export interface Commit {
  readonly version: number;
  readonly actions: readonly Action[];
}

/** @throws Failure `table_unreadable` when a file is no commit, `object_missing` when one is gone */
export async function* readCommits(
  store: Store,
  name: TableName,
  versions: readonly number[],
): AsyncGenerator<Commit> {
  for (let start = 0; start < versions.length; start += getsAtOnceMax) {
    const window = versions.slice(start, start + getsAtOnceMax);
    yield* await Promise.all(window.map((version) => readCommit(store, name, version)));
  }
}

export async function readCommit(store: Store, name: TableName, version: number): Promise<Commit> {
  const key = deltaCommitKey(name, version);
  return { version, actions: parseCommit(key, Buffer.from(await store.get(key)).toString('utf8')) };
}
