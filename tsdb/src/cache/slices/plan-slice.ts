/**
 * Which part of a Parquet file is fetched, and where it stands in the slice that is made of it. Pure.
 *
 *     PAR1  <pages of the chosen columns, row group by row group>  <footer>  <its length>  PAR1
 *
 * Ranges of the file with little between them are fetched as one: where there are many, with more between them, since they are then
 * no longer all on their way at once. Long ranges are fetched in pieces, each in memory until it is written.
 */
import { timeColumnName } from '@varve/common/contract/columns.js';
import type { ByteRange } from '@varve/common/store/store.js';
import type { Wanted } from '../../delta/data-files.js';
import { chunksOf, type ParquetFooter, type RowGroup } from './parquet-footer.js';

const defaultGapBytesMin = 8_192;
/** What a link brings in the time that a request takes when many are under way. */
const gapBytesMax = 131_072;
/** A few rounds of those that run at the same time. */
const rangesWanted = 64;
const rangesMax = 1_024;
const defaultPieceBytesMax = 4 << 20;

/** Positions in the footer's lists. */
export interface SliceChoice {
  readonly rowGroups: readonly number[];
  readonly columns: readonly number[];
}

/** Bytes of the file, and where the first of them stands in the slice. */
export interface SlicedPages extends ByteRange {
  readonly newStart: number;
}

export interface SlicePlan {
  readonly choice: SliceChoice;
  /** In the order of both. */
  readonly pages: readonly SlicedPages[];
  /** Where the slice's footer begins. */
  readonly pagesEnd: number;
  /** What is fetched. */
  readonly ranges: readonly ByteRange[];
  readonly bytesFetched: number;
}

/** Undefined where nothing tells what is wanted of it from the whole; without row groups where no row can matter. */
export function chooseParts(
  { columns, rowGroups }: ParquetFooter,
  wanted: Wanted,
  day: string,
): SliceChoice | undefined {
  const chosen = positions(
    columns,
    ({ name }) => name === timeColumnName || wanted.columns?.has(name) !== false,
  );
  if (chosen.length === 0) return undefined;
  const isWanted = ({ minTimeUs, maxTimeUs, bounds }: RowGroup) =>
    wanted.mayHold({ day, minTimeUs, maxTimeUs, bounds });
  return { rowGroups: positions(rowGroups, isWanted), columns: chosen };
}

function positions<Item>(items: readonly Item[], isChosen: (item: Item) => boolean): number[] {
  return items.flatMap((item, index) => (isChosen(item) ? [index] : []));
}

export interface SliceLimits {
  /** Fewer bytes than this are fetched along. */
  readonly gapBytesMin?: number;
  readonly pieceBytesMax?: number;
}

export function planSlice(
  footer: ParquetFooter,
  choice: SliceChoice,
  { gapBytesMin = defaultGapBytesMin, pieceBytesMax = defaultPieceBytesMax }: SliceLimits = {},
): SlicePlan {
  // Behind `PAR1`.
  let pagesEnd = 4;
  const pages: SlicedPages[] = [];
  for (const index of choice.rowGroups) {
    const group = footer.rowGroups[index];
    const chunks = group ? chunksOf(footer, group) : [];
    for (const column of choice.columns) {
      const span = chunks[column]?.pages;
      if (!span) throw new RangeError(`there is no column ${column} in row group ${index}`);
      pages.push({ ...span, newStart: pagesEnd });
      pagesEnd += span.end - span.start;
    }
  }
  const inOrder = pages
    .filter(({ start, end }) => end > start)
    .sort((left, right) => left.start - right.start);
  const ranges = planRanges(inOrder, gapBytesMin);
  const bytesFetched = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  return {
    choice,
    pages: inOrder,
    pagesEnd,
    ranges: ranges.flatMap((range) => splitRange(range, pieceBytesMax)),
    bytesFetched,
  };
}

/** @param sorted by their start, none overlapping */
function planRanges(sorted: readonly ByteRange[], gapBytesMin: number): ByteRange[] {
  for (let gap = gapBytesMin; ; gap = 2 * gap + 1) {
    const ranges = joinRanges(sorted, gap);
    if (ranges.length <= (gap < gapBytesMax ? rangesWanted : rangesMax)) return ranges;
  }
}

function joinRanges(sorted: readonly ByteRange[], gapBytes: number): ByteRange[] {
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of sorted) {
    const last = joined.at(-1);
    if (last && start - last.end <= gapBytes) last.end = end;
    else joined.push({ start, end });
  }
  return joined;
}

function splitRange({ start, end }: ByteRange, bytesMax: number): ByteRange[] {
  const count = Math.ceil((end - start) / bytesMax);
  return Array.from({ length: count }, (_, index) => ({
    start: start + index * bytesMax,
    end: Math.min(end, start + (index + 1) * bytesMax),
  }));
}

/** The parts of a fetched range that belong into the slice, and where. @param bytes all of the range, and no more */
export function cutPages(
  { start, end }: ByteRange,
  bytes: Uint8Array,
  pages: readonly SlicedPages[],
): { readonly at: number; readonly bytes: Uint8Array }[] {
  return pages.flatMap((part) => {
    const [from, to] = [Math.max(start, part.start), Math.min(end, part.end)];
    return from < to
      ? [{ at: part.newStart + from - part.start, bytes: bytes.subarray(from - start, to - start) }]
      : [];
  });
}
