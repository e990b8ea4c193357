/**
 * What the statistics of a data file say of its columns, for leaving files out of a query. Small in memory, since a table
 * may have a million files.
 *
 * 1. Of every tag the least and greatest value and the number of nulls; texts that many files share are kept once.
 * 2. Of the first `numbersMax` fields that are doubles or longs the least and greatest value. Other fields have none.
 * 3. A bound may be wide but is never narrow: nothing is kept that another writer may have understood differently (a double
 *    column with NaN in it), and a long that a double cannot hold is widened.
 *
 * The columns are those that the table had when the file was read from the log; of a column added later nothing is known.
 */
import type { TableColumns } from '@varve/common/contract/columns.js';
import type { RowsExtent } from './snapshot.js';
import { memberOf, type RawStatistics } from './statistics.js';

export const numbersMax = 8;
const sharedTextsMax = 65_536;

/** Absent members are not known, or there is no value: a column whose `nullCount` is the file's `rowCount` has no bounds. */
export interface ColumnBounds {
  /** Inclusive. Texts in the order of their UTF-8 bytes, as DuckDB orders them; a minimum may be the start of a longer one. */
  readonly min?: string | number | undefined;
  readonly max?: string | number | undefined;
  readonly nullCount?: number | undefined;
}

/** Which column stands where; shared by all files of a table. Made by `layoutOf`. */
export class BoundsLayout {
  readonly tags: readonly string[];
  readonly numbers: readonly string[];
  /** Doubles in files of other writers are not trusted. */
  readonly doubles: ReadonlySet<string>;

  constructor({ tags, fields }: TableColumns) {
    const numbers = fields.filter(({ type }) => type === 'double' || type === 'long').slice(0, numbersMax);
    this.tags = tags.map(({ name }) => name);
    this.numbers = numbers.map(({ name }) => name);
    this.doubles = new Set(
      numbers
        .filter(({ type, decimals }) => type === 'double' && decimals === undefined)
        .map(({ name }) => name),
    );
  }
}

const layouts = new WeakMap<TableColumns, BoundsLayout>();

export function layoutOf(columns: TableColumns): BoundsLayout {
  const layout = layouts.get(columns) ?? new BoundsLayout(columns);
  layouts.set(columns, layout);
  return layout;
}

/** Read with `boundsOf`. */
export interface FileBounds {
  readonly layout: BoundsLayout;
  /** Three members for each tag: min, max, number of nulls. */
  readonly tags: readonly (string | number | undefined)[];
  /** Two members for each number: min, max; infinite where not known. Others may stand behind them. */
  readonly numbers: readonly number[];
}

export interface PackedBounds extends FileBounds {
  readonly numbers: number[];
}

/** Undefined when nothing is known of the column in these rows; of `time`, `DataFile` itself knows. */
export function boundsOf({ bounds }: Pick<RowsExtent, 'bounds'>, column: string): ColumnBounds | undefined {
  if (!bounds) return undefined;
  const { layout, tags, numbers } = bounds;
  const tagAt = layout.tags.indexOf(column) * 3;
  if (tagAt >= 0) {
    const [min, max, nullCount] = tags.slice(tagAt, tagAt + 3);
    return { min, max, nullCount: nullCount as number | undefined };
  }
  const numberAt = layout.numbers.indexOf(column) * 2;
  if (numberAt < 0) return undefined;
  const [min = -Infinity, max = Infinity] = numbers.slice(numberAt, numberAt + 2);
  return { ...(Number.isFinite(min) && { min }), ...(Number.isFinite(max) && { max }) };
}

/** `isOurs`: by a writer that leaves the bounds of a column with NaN out. `room` is left free at the end of `numbers`. */
export function packBounds(
  layout: BoundsLayout,
  { minValues, maxValues, nullCount }: RawStatistics,
  isOurs: boolean,
  room = 0,
): PackedBounds | undefined {
  if (minValues === undefined && maxValues === undefined && nullCount === undefined) return undefined;
  // Arrays of their exact length, for a million files: one that grew by `push` has room for 17.
  const tags = new Array<string | number | undefined>(layout.tags.length * 3);
  for (const [index, name] of layout.tags.entries()) {
    tags[index * 3] = shareText(memberOf(minValues, name));
    tags[index * 3 + 1] = shareText(memberOf(maxValues, name));
    tags[index * 3 + 2] = toCount(memberOf(nullCount, name));
  }
  const numbers = new Array<number>(layout.numbers.length * 2 + room);
  for (const [index, name] of layout.numbers.entries()) {
    const isTrusted = isOurs || !layout.doubles.has(name);
    numbers[index * 2] = (isTrusted ? widen(memberOf(minValues, name), -1) : undefined) ?? -Infinity;
    numbers[index * 2 + 1] = (isTrusted ? widen(memberOf(maxValues, name), 1) : undefined) ?? Infinity;
  }
  return { layout, tags, numbers };
}

/** The order of `ColumnBounds`: JavaScript's own differs from it beyond U+FFFF, whose halves lie below U+E000. */
export function compareTexts(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const [first, second] = [left.charCodeAt(at), right.charCodeAt(at)];
    if (first === second) continue;
    if (first < 0xd800 && second < 0xd800) return first - second;
    return Buffer.compare(Buffer.from(left), Buffer.from(right));
  }
  return left.length - right.length;
}

function toCount(value: unknown): number | undefined {
  return Number.isSafeInteger(value) ? (value as number) : undefined;
}

/** A long beyond 2^53 has been rounded when its JSON was parsed. */
function widen(value: unknown, direction: 1 | -1): number | undefined {
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined;
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
  return value + direction * Math.abs(value) * Number.EPSILON;
}

const sharedTexts = new Map<string, string>();

function shareText(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const shared = sharedTexts.get(value);
  if (shared !== undefined) return shared;
  if (sharedTexts.size >= sharedTextsMax) sharedTexts.clear();
  sharedTexts.set(value, value);
  return value;
}
