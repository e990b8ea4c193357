/**
 * Which files of a table can hold rows that a query asks for, by what the log says of them. Pure, and conservative: a file
 * is passed over only where it is certain.
 */
import { dayColumnName, timeColumnName } from '@varve/common/contract/columns.js';
import { boundsOf, compareTexts } from '../delta/file-bounds.js';
import type { DataFile } from '../delta/snapshot.js';
import { outcomesOf, type Comparison, type Condition, type Operator, type Outcomes } from './condition.js';
import {
  constantList,
  constantValue,
  toDate,
  toInstant,
  type ConstantContext,
  type ConstantValue,
} from './constant-value.js';

export interface FilePlan {
  readonly tags: ReadonlySet<string>;
  readonly context: ConstantContext;
}

type Order<Value> = (left: Value, right: Value) => number;
type Range<Value> = readonly [min: Value, max: Value];

/** @param conditions of every place where the table is named: a file is needed if one of them may hold */
export function planFiles(
  conditions: readonly Condition[],
  files: Iterable<DataFile>,
  plan: FilePlan,
): DataFile[] {
  if (conditions.some(({ kind }) => kind === 'any')) return [...files];
  const values = new ComparedValues(plan);
  const mayHold = (file: DataFile) =>
    conditions.some((condition) => outcomesOf(condition, (part) => values.compare(part, file)).canBeTrue);
  return [...files].filter(mayHold);
}

const unknown: Outcomes = { canBeTrue: true, canBeFalse: true };

type Ranges =
  | { readonly kind: 'us'; readonly ranges: readonly Range<number>[] }
  | { readonly kind: 'text'; readonly ranges: readonly Range<string>[] };

/** What each comparison compares with, found once for all files. */
class ComparedValues {
  readonly #plan: FilePlan;
  readonly #found = new Map<Comparison<string>, Ranges | undefined>();

  constructor(plan: FilePlan) {
    this.#plan = plan;
  }

  compare(comparison: Comparison<string>, file: DataFile): Outcomes {
    const known = this.#ranges(comparison);
    if (known === undefined) return unknown;
    const { column, operator, rounding } = comparison;
    if (known.kind === 'text') {
      const { min, max } = boundsOf(file, column) ?? {};
      return typeof min === 'string' && typeof max === 'string'
        ? outcomes([min, max], operator, known.ranges, compareTexts)
        : unknown;
    }
    return outcomes(timeRange(file, column, rounding?.widthUs ?? 0), operator, known.ranges, compareNumber);
  }

  #ranges(comparison: Comparison<string>): Ranges | undefined {
    if (!this.#found.has(comparison)) this.#found.set(comparison, findRanges(comparison, this.#plan));
    return this.#found.get(comparison);
  }
}

function findRanges({ column, rounding, values }: Comparison<string>, plan: FilePlan): Ranges | undefined {
  const constants = values.flatMap((value) => {
    const list = constantList(value, plan.context);
    return list ?? [constantValue(value, plan.context)];
  });
  if (plan.tags.has(column)) {
    const texts = constants.map((value) => (value?.kind === 'text' ? value.text : undefined));
    return rounding === undefined && texts.every((text) => text !== undefined)
      ? { kind: 'text', ranges: texts.map((text) => [text, text]) }
      : undefined;
  }
  const toValue = timeConversion(column, rounding?.to);
  const ranges = constants.map((value) => value && toValue?.(value));
  return ranges.every(isInstant)
    ? { kind: 'us', ranges: ranges.map(({ minUs, maxUs }) => [minUs, maxUs]) }
    : undefined;
}

type Instant = Extract<ConstantValue, { kind: 'instant' | 'date' }>;

function isInstant(value: ConstantValue | undefined): value is Instant {
  return value?.kind === 'instant' || value?.kind === 'date';
}

/** How DuckDB converts the other side of a comparison; undefined for columns of which nothing is known. */
function timeConversion(
  column: string,
  roundedTo: 'date' | 'instant' | undefined,
): ((value: ConstantValue) => ConstantValue | undefined) | undefined {
  if (column === timeColumnName) return roundedTo === 'date' ? dateOrInstant : toInstant;
  return column === dayColumnName && roundedTo === undefined ? dateOrInstant : undefined;
}

/** A date is compared with text as with a date, with an instant as its midnight. */
function dateOrInstant(value: ConstantValue): ConstantValue | undefined {
  return value.kind === 'instant' ? value : toDate(value);
}

function timeRange(file: DataFile, column: string, widthUs: number): Range<number> {
  if (column === timeColumnName) return [file.minTimeUs - Math.max(0, widthUs - 1), file.maxTimeUs];
  const startUs = Date.parse(`${file.day}T00:00:00Z`) * 1_000;
  return [startUs, startUs];
}

/** One value of the list for which it holds is enough. */
function outcomes<Value>(
  range: Range<Value>,
  operator: Operator,
  values: readonly Range<Value>[],
  order: Order<Value>,
): Outcomes {
  return {
    canBeTrue: values.some((value) => canHold(range, operator, value, order)),
    canBeFalse: values.every((value) => canHold(range, negated[operator], value, order)),
  };
}

const negated: Readonly<Record<Operator, Operator>> = {
  '<': '>=',
  '<=': '>',
  '>': '<=',
  '>=': '<',
  '=': '!=',
  '!=': '=',
};

/** Whether it can hold for some value of the range and some of those that the other side may have. */
function canHold<Value>(
  [min, max]: Range<Value>,
  operator: Operator,
  [least, greatest]: Range<Value>,
  order: Order<Value>,
): boolean {
  switch (operator) {
    case '<':
      return order(min, greatest) < 0;
    case '<=':
      return order(min, greatest) <= 0;
    case '>':
      return order(max, least) > 0;
    case '>=':
      return order(max, least) >= 0;
    case '=':
      return order(min, greatest) <= 0 && order(max, least) >= 0;
    case '!=':
      return order(min, max) !== 0 || order(least, greatest) !== 0 || order(min, least) !== 0;
  }
}

const compareNumber: Order<number> = (left, right) => left - right;
