/**
 * Which live files may hold a row that late rows replace. Pure.
 *
 * A row's identity is (tags, time), so that only files of its day can hold it whose time range meets the late rows', and
 * whose tags may be those of a late series, by their bounds.
 */
import { boundsOf, compareTexts } from '../delta/file-bounds.js';
import type { DataFile } from '../delta/snapshot.js';

/** Rows of one UTC day; the range is inclusive, microseconds since 1970 UTC. */
export interface IncomingDay {
  readonly day: string;
  readonly minTimeUs: number;
  readonly maxTimeUs: number;
}

type Tags = Readonly<Record<string, string>>;

export interface LateRows extends IncomingDay {
  /** Tags without nulls. Undefined: any. */
  readonly series: readonly Tags[] | undefined;
}

/** `tags` are the names of the table's. */
export function planOverlap(files: Iterable<DataFile>, late: LateRows, tags: readonly string[]): DataFile[] {
  const found: DataFile[] = [];
  for (const file of files)
    if (
      file.day === late.day &&
      file.minTimeUs <= late.maxTimeUs &&
      file.maxTimeUs >= late.minTimeUs &&
      (!late.series || late.series.some((series) => mayHold(file, series, tags)))
    )
      found.push(file);
  return found;
}

function mayHold(file: DataFile, series: Tags, tags: readonly string[]): boolean {
  return tags.every((tag) => {
    const bounds = boundsOf(file, tag);
    if (!bounds) return true;
    const value = series[tag];
    if (value === undefined) return bounds.nullCount !== 0;
    if (bounds.nullCount === file.rowCount) return false;
    const isBelow = typeof bounds.min === 'string' && compareTexts(value, bounds.min) < 0;
    const isAbove = typeof bounds.max === 'string' && compareTexts(value, bounds.max) > 0;
    return !isBelow && !isAbove;
  });
}
