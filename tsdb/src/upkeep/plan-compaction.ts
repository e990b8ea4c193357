/**
 * Which data files of a table are worth writing anew, and how. Pure.
 *
 * A file's level says how far it has come: 0 from ingest, 1 merged, 2 sorted with its whole day.
 *
 * 1. **Merge** (0, 1 → 1): files of one day are grouped by size, each group four times the one before. A group of `filesMin`
 *    becomes one file, which then belongs to a higher group: every row is rewritten a few times in all, however many small
 *    files come. Files of `targetBytes` are left alone, and so are those with rows of the last `settleMs`: the next rows may
 *    meet theirs, and it is cheaper to look at a small file then.
 * 2. **Sort** (all → 2): a day is closed when the watermark is `closedAfterMs` past its end. Then the whole day is sorted by
 *    tags and time, and cut between series into files of about `targetBytes`, so that a query for one series reads one file.
 * 3. What comes for a day after that stays beside its sorted files, merged among itself, until it is `lateShareMin` of the day
 *    or `lateMsMax` old. Then it is sorted together with those sorted files that may hold series of it, and with small ones:
 *    what one agent brings late does not rewrite the others' files. Sorted files are never looked at otherwise.
 * 4. A day with more than `filesMax` files that are not sorted yet is merged down first; one of more than `sortBytesMax` is only
 *    merged.
 *
 * The watermark is the newest row's time, or the wall clock if that is less: neither a sensor's false date nor a false
 * clock alone closes a day.
 */
import type { TableColumns } from '@varve/common/contract/columns.js';
import { boundsOf, compareTexts } from '../delta/file-bounds.js';
import type { DataFile } from '../delta/snapshot.js';

export interface CompactionPolicy {
  readonly filesMin: number;
  readonly filesMax: number;
  readonly targetBytes: number;
  /** Of the files of one merge: it stays bounded in time. */
  readonly mergeBytesMax: number;
  /** Of the files of one sort, which lie on this machine meanwhile. */
  readonly sortBytesMax: number;
  readonly settleMs: number;
  readonly closedAfterMs: number;
  readonly lateShareMin: number;
  readonly lateMsMax: number;
}

export const defaultCompactionPolicy: CompactionPolicy = {
  filesMin: 16,
  filesMax: 128,
  targetBytes: 128 * 2 ** 20,
  mergeBytesMax: 256 * 2 ** 20,
  sortBytesMax: 32 * 2 ** 30,
  settleMs: 60_000,
  closedAfterMs: 6 * 3_600_000,
  lateShareMin: 0.1,
  lateMsMax: 7 * 86_400_000,
};

export const mergedLevel = 1;
export const sortedLevel = 2;

/** Files of one day that become one, or sorted ones. */
export interface CompactionJob {
  readonly kind: 'merge' | 'sort';
  readonly day: string;
  readonly files: readonly DataFile[];
}

export interface CompactedTable {
  readonly files: ReadonlyMap<string, DataFile>;
  readonly columns: TableColumns;
}

/** Merges first, the one that saves most files before the others; then whole days, the newest first. */
export function planCompaction(
  { files, columns }: CompactedTable,
  policy: CompactionPolicy,
  nowMs: number,
): CompactionJob[] {
  const days = new Map<string, DataFile[]>();
  let newestUs = -Infinity;
  for (const file of files.values()) {
    newestUs = Math.max(newestUs, file.maxTimeUs);
    const ofDay = days.get(file.day);
    if (ofDay) ofDay.push(file);
    else days.set(file.day, [file]);
  }
  const watermarkMs = Math.min(newestUs / 1_000, nowMs);
  const jobs = [...days].flatMap(([day, ofDay]) => {
    const isClosed = endOfDayMs(day) + policy.closedAfterMs <= watermarkMs;
    const sort = isClosed ? planSort(day, ofDay, columns.tags[0]?.name, policy, nowMs) : undefined;
    return sort ? [sort] : planMerges(day, ofDay, policy, newestUs);
  });
  return jobs.sort(byUrgency);
}

function byUrgency(left: CompactionJob, right: CompactionJob): number {
  if (left.kind !== right.kind) return left.kind === 'merge' ? -1 : 1;
  return left.kind === 'merge' ? right.files.length - left.files.length : left.day < right.day ? 1 : -1;
}

function endOfDayMs(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) + 86_400_000;
}

function planMerges(
  day: string,
  files: readonly DataFile[],
  policy: CompactionPolicy,
  newestUs: number,
): CompactionJob[] {
  const groups = new Map<number, DataFile[]>();
  for (const file of files) {
    const isSettled = file.maxTimeUs <= newestUs - policy.settleMs * 1_000;
    if (file.level >= sortedLevel || file.bytes >= policy.targetBytes || !isSettled) continue;
    const size = sizeGroup(file.bytes);
    const group = groups.get(size);
    if (group) group.push(file);
    else groups.set(size, [file]);
  }
  return [...groups.values()]
    .map((group): CompactionJob => ({ kind: 'merge', day, files: cutToBounds(group, policy) }))
    .filter((job) => job.files.length >= Math.min(policy.filesMin, boundedCount(job, policy)));
}

/** How many files of this size fit into one merge: of large ones fewer than `filesMin` must do. */
function boundedCount({ files }: CompactionJob, { mergeBytesMax }: CompactionPolicy): number {
  const largest = Math.max(...files.map(({ bytes }) => bytes), 1);
  return Math.max(2, Math.floor(mergeBytesMax / largest));
}

function cutToBounds(files: readonly DataFile[], { filesMax, mergeBytesMax }: CompactionPolicy): DataFile[] {
  let bytes = 0;
  const firstTooMany = files.findIndex((file, index) => {
    bytes += file.bytes;
    return index >= filesMax || (index >= 2 && bytes > mergeBytesMax);
  });
  return files.slice(0, firstTooMany < 0 ? undefined : firstTooMany);
}

function planSort(
  day: string,
  files: readonly DataFile[],
  firstTag: string | undefined,
  policy: CompactionPolicy,
  nowMs: number,
): CompactionJob | undefined {
  const late = files.filter(({ level }) => level < sortedLevel);
  if (!isDue(late, files, policy, nowMs)) return undefined;
  if (late.length > policy.filesMax) {
    const smallest = late.toSorted((left, right) => left.bytes - right.bytes);
    return { kind: 'merge', day, files: cutToBounds(smallest, policy) };
  }
  const touched = files.filter(
    (file) =>
      file.level < sortedLevel ||
      file.bytes < policy.targetBytes / 4 ||
      late.some((other) => mayShareSeries(file, other, firstTag)),
  );
  return bytesOf(touched) > policy.sortBytesMax ? undefined : { kind: 'sort', day, files: touched };
}

/** By the first tag, in whose order files are cut. */
function mayShareSeries(left: DataFile, right: DataFile, firstTag: string | undefined): boolean {
  const [a, b] = [left, right].map((file) => firstTag !== undefined && boundsOf(file, firstTag));
  if (!a || !b) return true;
  const haveBothNull = a.nullCount !== 0 && b.nullCount !== 0;
  if (haveBothNull) return true;
  if (a.nullCount === left.rowCount || b.nullCount === right.rowCount) return false;
  const isBehind = (min: typeof a.min, max: typeof b.max) =>
    typeof min === 'string' && typeof max === 'string' && compareTexts(min, max) > 0;
  return !isBehind(a.min, b.max) && !isBehind(b.min, a.max);
}

function isDue(
  late: readonly DataFile[],
  files: readonly DataFile[],
  policy: CompactionPolicy,
  nowMs: number,
): boolean {
  // One file of ingest is sorted already.
  if (late.length === 0 || (files.length === 1 && bytesOf(files) <= 2 * policy.targetBytes)) return false;
  const isAll = late.length === files.length;
  const isMuch = bytesOf(late) >= policy.lateShareMin * bytesOf(files);
  const isOld = Math.min(...late.map(({ addedMs }) => addedMs)) <= nowMs - policy.lateMsMax;
  return isAll || isMuch || isOld;
}

function bytesOf(files: readonly DataFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** 0 up to 64 KiB, 1 up to 256 KiB, and so on. */
export function sizeGroup(bytes: number): number {
  return Math.max(0, Math.ceil(Math.log2(Math.max(bytes, 1) / 2 ** 16) / 2));
}
