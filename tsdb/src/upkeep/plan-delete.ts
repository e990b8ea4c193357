/**
 * Which data files a delete of rows has to do with. Pure.
 */
import type { DataFile } from '../delta/snapshot.js';

/** Half open, microseconds since 1970 UTC; infinite where there is no limit. */
export interface TimeRange {
  readonly startUs: number;
  readonly endUs: number;
}

export interface DeletePlan {
  /** All of their rows are to go: nobody needs to look into them. */
  readonly whole: readonly DataFile[];
  /** Some of their rows may be. */
  readonly candidates: readonly DataFile[];
}

/** Of both lists together at most `filesMax`, those of the first days, leaving out paths that are `examined`. */
export function planDelete(
  files: Iterable<DataFile>,
  range: TimeRange,
  hasCondition: boolean,
  examined: ReadonlySet<string>,
  filesMax: number,
): DeletePlan {
  const next = [...files]
    .filter((file) => meets(file, range) && !examined.has(file.path))
    .sort((left, right) => (left.day < right.day ? -1 : left.day > right.day ? 1 : 0))
    .slice(0, filesMax);
  const isWhole = (file: DataFile) =>
    !hasCondition && file.minTimeUs >= range.startUs && file.maxTimeUs < range.endUs;
  return { whole: next.filter(isWhole), candidates: next.filter((file) => !isWhole(file)) };
}

export function meets({ minTimeUs, maxTimeUs }: DataFile, { startUs, endUs }: TimeRange): boolean {
  return minTimeUs < endUs && maxTimeUs >= startUs;
}
