/**
 * What lies in `_delta_log/`, and from where a version is read (PROTOCOL.md, "Snapshots"): the newest whole checkpoint that
 * is not newer than it, and every commit from there on.
 */
import {
  deltaCommitKey,
  deltaLogPrefix,
  parseDeltaLogKey,
  type TableName,
} from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import { formatTableName } from './table-metadata.js';

/** All parts of it are there. */
export interface Checkpoint {
  readonly version: number;
  readonly keys: readonly string[];
  readonly modifiedMs: number;
}

export interface LogListing {
  /** Ascending. */
  readonly commits: readonly { readonly version: number; readonly modifiedMs: number }[];
  /** Ascending. */
  readonly checkpoints: readonly Checkpoint[];
  /** Versions with a checkpoint of the second kind, which we do not read. */
  readonly v2Checkpoints: readonly number[];
  /** Everything of each version, whatever it is. */
  readonly keys: readonly { readonly key: string; readonly version: number }[];
}

/** Everything of `fromVersion` and later. */
export async function listLog(store: Store, name: TableName, fromVersion = 0): Promise<LogListing> {
  const startAfter = fromVersion > 0 ? { startAfter: deltaCommitKey(name, fromVersion - 1) } : {};
  const commits: { version: number; modifiedMs: number }[] = [];
  const v2Checkpoints: number[] = [];
  const keys: { key: string; version: number }[] = [];
  const checkpoints = new CheckpointParts();
  for await (const { key, modifiedMs } of store.list(deltaLogPrefix(name), startAfter)) {
    const file = parseDeltaLogKey(key);
    if (!file || file.version < fromVersion) continue;
    keys.push({ key, version: file.version });
    if (file.kind === 'commit') commits.push({ version: file.version, modifiedMs });
    else if (file.kind === 'checkpoint') checkpoints.add(key, modifiedMs, file);
    else if (file.kind === 'v2-checkpoint') v2Checkpoints.push(file.version);
  }
  return { commits, checkpoints: checkpoints.whole(), v2Checkpoints, keys };
}

/** Two writers may each have made one of the same version, in different numbers of parts. */
class CheckpointParts {
  readonly #found = new Map<string, { version: number; parts: number; keys: string[]; modifiedMs: number }>();

  add(key: string, modifiedMs: number, { version, parts }: { version: number; parts: number }): void {
    const id = `${version}/${parts}`;
    const found = this.#found.get(id) ?? { version, parts, keys: [], modifiedMs };
    found.keys.push(key);
    found.modifiedMs = Math.max(found.modifiedMs, modifiedMs);
    this.#found.set(id, found);
  }

  whole(): Checkpoint[] {
    return [...this.#found.values()]
      .filter(({ keys, parts }) => keys.length === parts)
      .map(({ version, keys, modifiedMs }) => ({ version, keys, modifiedMs }))
      .sort((left, right) => left.version - right.version);
  }
}

export interface LogReadPlan {
  readonly checkpoint: Checkpoint | undefined;
  readonly commits: readonly number[];
}

export interface LogReadTarget {
  /** The newest version when absent. */
  readonly version?: number | undefined;
  /** Checkpoints that turned out not to be readable. */
  readonly unusable?: ReadonlySet<Checkpoint>;
}

/**
 * How to get to `version`. With nothing in the log, a plan of nothing.
 * @throws Failure `table_unreadable` when a version on the way is missing
 */
export function planLogRead(
  name: TableName,
  { commits, checkpoints, v2Checkpoints }: LogListing,
  { version = Number.POSITIVE_INFINITY, unusable = new Set() }: LogReadTarget = {},
): LogReadPlan {
  const checkpoint = checkpoints.findLast((one) => one.version <= version && !unusable.has(one));
  const first = (checkpoint?.version ?? -1) + 1;
  const wanted = commits.map((commit) => commit.version).filter((one) => one >= first && one <= version);
  requireContiguous(name, wanted, first, v2Checkpoints);
  return { checkpoint, commits: wanted };
}

/** @throws Failure `table_unreadable` naming the first that is missing */
export function requireContiguous(
  name: TableName,
  versions: readonly number[],
  firstVersion: number,
  v2Checkpoints: readonly number[] = [],
): void {
  const gapAt = versions.findIndex((version, index) => version !== firstVersion + index);
  if (gapAt < 0) return;
  const missingVersion = firstVersion + gapAt;
  const [table, facts] = [formatTableName(name), { table: formatTableName(name), version: missingVersion }];
  if (v2Checkpoints.some((version) => version >= missingVersion))
    throw new Failure('table_unreadable', `table ${table} begins with a checkpoint of feature v2Checkpoint`, {
      hint: 'have the program that writes it make a classic checkpoint',
      facts,
    });
  throw new Failure('table_unreadable', `version ${missingVersion} of ${table} is missing from its log`, {
    hint: `restore ${deltaCommitKey(name, missingVersion)} from a backup`,
    facts,
  });
}
