/**
 * The `stats` of a data file: JSON text inside `add` (PROTOCOL.md, "Per-file Statistics"), written by us and read back.
 *
 * Readers skip files by them and some answer `count(*)` from them, so a bound may be wide but never narrow:
 *
 * 1. `numRecords` is exact.
 * 2. Timestamps have exactly three fractional digits and `Z`: readers disagree about more. The lower is floored to the
 *    millisecond, the upper raised to it.
 * 3. Strings up to 32 UTF-16 units stand as they are. Of a longer minimum its start is written, never half a surrogate
 *    pair; a longer maximum is left out, since its start would be below it.
 * 4. A double column that holds NaN or an infinity has no bounds; otherwise they are printed with a fraction, and a zero
 *    as the zero that also covers the other one. Longs keep all their digits. Booleans have none.
 * 5. Decimals are printed digit by digit, as they are.
 * 6. Columns that are all null have only a `nullCount`; `day` has no entry; only the first 32 columns have any.
 */
import { timeColumnName, type FieldType } from '@varve/common/contract/columns.js';

/** Delta's default of `delta.dataSkippingNumIndexedCols`. */
export const indexedColumnsMax = 32;
/** Delta's default of `delta.dataSkippingStringPrefixLength`. */
export const stringUnitsMax = 32;

export const dayUs = 86_400_000_000;

/** Values of a column's type; longs as bigint, decimals as their text. */
export interface Bounds {
  readonly min: string | number | bigint;
  readonly max: string | number | bigint;
}

export interface ColumnStatistics {
  readonly name: string;
  readonly type: FieldType;
  /** Given where the column is a decimal. */
  readonly decimals?: number | undefined;
  readonly nullCount: number;
  /** Absent where there is no value, or a double is NaN or infinite. */
  readonly bounds?: Bounds | undefined;
}

export interface FileStatistics {
  readonly rowCount: number;
  readonly minTimeUs: number;
  readonly maxTimeUs: number;
  /** Without `time`; in the order of the schema. */
  readonly columns: readonly ColumnStatistics[];
}

/** What a `DataFile` needs of the statistics. */
export type FileExtent = Pick<FileStatistics, 'rowCount' | 'minTimeUs' | 'maxTimeUs'>;

export function formatStatistics({ rowCount, minTimeUs, maxTimeUs, columns }: FileStatistics): string {
  const indexed = columns.slice(0, indexedColumnsMax - 1);
  const minValues = new Map([[timeColumnName, formatTime(Math.floor(minTimeUs / 1_000))]]);
  const maxValues = new Map([[timeColumnName, formatTime(Math.ceil(maxTimeUs / 1_000))]]);
  const nullCount = new Map([[timeColumnName, '0']]);
  for (const column of indexed) {
    const { min, max } = formatBounds(column);
    if (min !== undefined) minValues.set(column.name, min);
    if (max !== undefined) maxValues.set(column.name, max);
    nullCount.set(column.name, String(column.nullCount));
  }
  return (
    `{"numRecords":${rowCount},"minValues":${formatObject(minValues)},` +
    `"maxValues":${formatObject(maxValues)},"nullCount":${formatObject(nullCount)}}`
  );
}

/** By hand, because `JSON.stringify` knows neither 64-bit integers nor `5.0`. Values are JSON already. */
function formatObject(members: ReadonlyMap<string, string>): string {
  return `{${[...members].map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;
}

function formatTime(ms: number): string {
  return JSON.stringify(new Date(ms).toISOString());
}

interface FormattedBounds {
  readonly min?: string;
  readonly max?: string;
}

function formatBounds({ type, decimals, bounds }: ColumnStatistics): FormattedBounds {
  if (bounds === undefined) return {};
  const { min, max } = bounds;
  if (decimals !== undefined) return { min: String(min), max: String(max) };
  switch (type) {
    case 'string':
      return formatTextBounds(String(min), String(max));
    case 'long':
      return { min: String(min), max: String(max) };
    case 'double':
      return { min: formatDouble(Number(min) === 0 ? -0 : Number(min)), max: formatDouble(Number(max)) };
    case 'boolean':
      return {};
  }
}

function formatTextBounds(min: string, max: string): FormattedBounds {
  const minText = JSON.stringify(startOf(min));
  return max.length > stringUnitsMax ? { min: minText } : { min: minText, max: JSON.stringify(max) };
}

function startOf(text: string): string {
  if (text.length <= stringUnitsMax) return text;
  const lastUnit = text.charCodeAt(stringUnitsMax - 1);
  const endsInsidePair = lastUnit >= 0xd800 && lastUnit <= 0xdbff;
  return text.slice(0, endsInsidePair ? stringUnitsMax - 1 : stringUnitsMax);
}

function formatDouble(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  const text = String(value);
  return Number.isInteger(value) && !text.includes('e') ? `${text}.0` : text;
}

/** The members that we read, whatever is in them. */
export interface RawStatistics {
  readonly numRecords?: unknown;
  readonly minValues?: unknown;
  readonly maxValues?: unknown;
  readonly nullCount?: unknown;
}

const minTimeTag = 'varve.min_time_us';
const maxTimeTag = 'varve.max_time_us';

/** For `add.tags`: the exact first and last time, which statistics may give to the millisecond only. */
export function formatTimeTags({ minTimeUs, maxTimeUs }: FileExtent): Record<string, string> {
  return { [minTimeTag]: String(minTimeUs), [maxTimeTag]: String(maxTimeUs) };
}

/** Whether the file was written by us: then its bounds of doubles know about NaN. */
export function isOurs(tags: Readonly<Record<string, unknown>> | null | undefined): boolean {
  return typeof tags?.[minTimeTag] === 'string';
}

/** The extent by the statistics, narrowed to what our own tags say, if they lie inside. */
export function narrowByTags(
  extent: FileExtent,
  tags: Readonly<Record<string, unknown>> | null | undefined,
): FileExtent {
  const minTimeUs = Number(tags?.[minTimeTag] ?? Number.NaN);
  const maxTimeUs = Number(tags?.[maxTimeTag] ?? Number.NaN);
  const isInside = extent.minTimeUs <= minTimeUs && minTimeUs <= maxTimeUs && maxTimeUs <= extent.maxTimeUs;
  return isInside ? { ...extent, minTimeUs, maxTimeUs } : extent;
}

/**
 * The rows and the time range of a file, whoever wrote it. Where the statistics say nothing usable, the range is the
 * whole day and the number of rows is NaN, which no comparison takes for an empty file.
 */
export function extentOf({ numRecords, minValues, maxValues }: RawStatistics, day: string): FileExtent {
  const dayStartUs = startOfDayUs(day);
  const dayEndUs = dayStartUs + dayUs - 1;
  const minUs = parseTimeUs(memberOf(minValues, timeColumnName)) ?? dayStartUs;
  // Writers differ in whether the last digits are cut off, so the whole millisecond counts.
  const maxUs = (parseTimeUs(memberOf(maxValues, timeColumnName)) ?? dayEndUs) + 999;
  return {
    rowCount: Number.isInteger(numRecords) && Number(numRecords) >= 0 ? Number(numRecords) : Number.NaN,
    minTimeUs: Math.max(minUs, dayStartUs),
    maxTimeUs: Math.min(maxUs, dayEndUs),
  };
}

/** Files come day by day. */
let lastDay = { day: '', startUs: 0 };

function startOfDayUs(day: string): number {
  if (lastDay.day !== day) lastDay = { day, startUs: Date.parse(`${day}T00:00:00Z`) * 1_000 };
  return lastDay.startUs;
}

/** Of text that is no JSON object, nothing: statistics are a hint. By hand, for a million files. */
export function parseStatistics(stats: string | null | undefined): RawStatistics {
  try {
    const value: unknown = JSON.parse(stats ?? '{}');
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** What an object inherits is neither text nor number, which are all that is asked for. */
export function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** Down to the millisecond. Text without a zone is UTC, whatever zone this process is in. */
function parseTimeUs(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  // As we write them.
  if (value.length === 24 && value.endsWith('Z')) return parseMs(value);
  const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/.test(value);
  return parseMs(hasZone ? value : `${value}Z`);
}

function parseMs(text: string): number | undefined {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms * 1_000;
}
