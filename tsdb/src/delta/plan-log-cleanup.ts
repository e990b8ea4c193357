/**
 * Which files of a log nobody needs any more. Pure.
 *
 * 1. The newest version that is older than the retention is the first that must stay readable: it was current when the
 *    retention began.
 * 2. It is read from the newest checkpoint that is not newer. That one, its commit, and everything after stay; without such
 *    a checkpoint everything stays.
 * 3. A pinned version has a checkpoint of its own, which stays with its commit.
 */
import type { LogListing } from './log-listing.js';

/** Keys in ascending order of their versions: deleted in that order, what is left can be read at every moment. */
export function planLogCleanup(
  { commits, checkpoints, keys }: LogListing,
  cutoffMs: number,
  pinnedVersions: ReadonlySet<number> = new Set(),
): string[] {
  const firstNeeded = commits.findLast(({ modifiedMs }) => modifiedMs <= cutoffMs)?.version;
  if (firstNeeded === undefined) return [];
  const base = checkpoints.findLast(({ version }) => version <= firstNeeded)?.version;
  if (base === undefined) return [];
  return keys
    .filter(({ version }) => version < base && !pinnedVersions.has(version))
    .sort((left, right) => left.version - right.version)
    .map(({ key }) => key);
}
