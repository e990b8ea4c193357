/**
 * Which data files of a table are worth merging. Pure.
 *
 * 1. Files of one day are grouped by size, each group four times the one before. A group of `filesMin` becomes one file, which
 *    then belongs to a higher group: every row is rewritten a few times in all, however many small files come.
 * 2. Files at the target size are left alone.
 * 3. So are files with rows of the last `settleMs` before the newest row: the next rows may meet theirs, and it is cheaper to
 *    look at a small file then.
 */
import type { DataFile } from '../delta/snapshot.js';

export interface CompactionPolicy {
  readonly filesMin: number;
  /** Of one job, so that it stays bounded in time and memory. */
  readonly filesMax: number;
  readonly targetBytes: number;
  readonly settleMs: number;
}

export const defaultCompactionPolicy: CompactionPolicy = {
  filesMin: 16,
  filesMax: 128,
  targetBytes: 64 * 2 ** 20,
  settleMs: 60_000,
};

/** Files of one day that become one. */
export interface CompactionJob {
  readonly day: string;
  readonly files: readonly DataFile[];
}

/** The job that saves most files first. */
export function planCompaction(files: Iterable<DataFile>, policy: CompactionPolicy): CompactionJob[] {
  const all = [...files];
  const newestUs = all.reduce((newest, { maxTimeUs }) => Math.max(newest, maxTimeUs), -Infinity);
  const groups = new Map<string, DataFile[]>();
  for (const file of all) {
    const isSettled = file.maxTimeUs <= newestUs - policy.settleMs * 1_000;
    if (file.bytes >= policy.targetBytes || !isSettled) continue;
    const key = `${file.day} ${sizeGroup(file.bytes)}`;
    const group = groups.get(key);
    if (group) group.push(file);
    else groups.set(key, [file]);
  }
  return [...groups.values()]
    .filter((group) => group.length >= policy.filesMin)
    .sort((a, b) => b.length - a.length)
    .map((group) => ({ day: group[0]?.day ?? '', files: group.slice(0, policy.filesMax) }));
}

/** 0 up to 64 KiB, 1 up to 256 KiB, and so on. */
export function sizeGroup(bytes: number): number {
  return Math.max(0, Math.ceil(Math.log2(Math.max(bytes, 1) / 2 ** 16) / 2));
}
