/**
 * Which files of a table, and which parts of them, can hold rows that a query asks for, by what the log and their footers say of
 * them. Pure, and conservative: rows are passed over only where it is certain.
 */
import { dayColumnName, timeColumnName } from '@varve/common/contract/columns.js';
import { boundsOf, compareTexts } from '../delta/file-bounds.js';
import type { RowsExtent } from '../delta/snapshot.js';
import { outcomesOf, type Comparison, type Condition, type Operator, type Outcomes } from './condition.js';
import {
  constantList,
  constantValue,
  toDate,
  toInstant,
  type ConstantContext,
  type ConstantValue,
} from './constant-value.js';

export interface RowsPlan {
  readonly tags: ReadonlySet<string>;
  readonly context: ConstantContext;
}

type Order<Value> = (left: Value, right: Value) => number;
type Range<Value> = readonly [min: Value, max: Value];

/** Whether such rows may matter; undefined where all do. @param conditions of every place where the table is named: one that may hold is enough */
export function planRows(
  conditions: readonly Condition[],
  plan: RowsPlan,
): ((rows: RowsExtent) => boolean) | undefined {
  if (conditions.some(({ kind }) => kind === 'any')) return undefined;
  const values = new ComparedValues(plan);
  return (rows) =>
    conditions.some((condition) => outcomesOf(condition, (part) => values.compare(part, rows)).canBeTrue);
}

const unknown: Outcomes = { canBeTrue: true, canBeFalse: true };

type Ranges =
  | { readonly kind: 'us'; readonly ranges: readonly Range<number>[] }
  | { readonly kind: 'text'; readonly ranges: readonly Range<string>[] };

/** What each comparison compares with, found once for all rows. */
class ComparedValues {
  readonly #plan: RowsPlan;
  readonly #found = new Map<Comparison<string>, Ranges | undefined>();

  constructor(plan: RowsPlan) {
    this.#plan = plan;
  }

  compare(comparison: Comparison<string>, rows: RowsExtent): Outcomes {
    const known = this.#ranges(comparison);
    if (known === undefined) return unknown;
    const { column, operator, rounding } = comparison;
    if (known.kind === 'text') {
      const { min, max } = boundsOf(rows, column) ?? {};
      return typeof min === 'string' && typeof max === 'string'
        ? outcomes([min, max], operator, known.ranges, compareTexts)
        : unknown;
    }
    return outcomes(timeRange(rows, column, rounding?.widthUs ?? 0), operator, known.ranges, compareNumber);
  }

  #ranges(comparison: Comparison<string>): Ranges | undefined {
    if (!this.#found.has(comparison)) this.#found.set(comparison, findRanges(comparison, this.#plan));
    return this.#found.get(comparison);
  }
}

function findRanges({ column, rounding, values }: Comparison<string>, plan: RowsPlan): Ranges | undefined {
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

function timeRange(
  { day, minTimeUs, maxTimeUs }: RowsExtent,
  column: string,
  widthUs: number,
): Range<number> {
  if (column === timeColumnName) return [minTimeUs - Math.max(0, widthUs - 1), maxTimeUs];
  const startUs = Date.parse(`${day}T00:00:00Z`) * 1_000;
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
