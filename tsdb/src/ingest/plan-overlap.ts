/**
 * Which live files may hold a row that newer rows replace. Pure.
 *
 * A row's identity is (tags, time), so that only files of its day whose time range meets the newer rows' can hold it. For
 * rows newer than everything known that is none, and they are appended without a look at the table.
 */
import type { DataFile } from '../delta/snapshot.js';

/** Rows of one UTC day; the range is inclusive, microseconds since 1970 UTC. */
export interface IncomingDay {
  readonly day: string;
  readonly minTimeUs: number;
  readonly maxTimeUs: number;
}

export function planOverlap(files: Iterable<DataFile>, incoming: IncomingDay): DataFile[] {
  return [...files].filter(
    (file) =>
      file.day === incoming.day &&
      file.minTimeUs <= incoming.maxTimeUs &&
      file.maxTimeUs >= incoming.minTimeUs,
  );
}
