/**
 * What a bucket of `/api/v1/range` can say of its rows. Pure.
 *
 * | `agg`                            | of                  | in a bucket without rows                           |
 * |----------------------------------|---------------------|----------------------------------------------------|
 * | `avg min max median p1 … p99.9`  | numbers, booleans   | as `fill` says, seeded with the value before       |
 * | `stddev sum`                     | numbers, booleans   | as `fill` says, without a seed                     |
 * | `time_avg`                       | numbers, booleans   | the value that holds: it needs no filling          |
 * | `min max first last`             | all                 | as `fill` says, seeded; text is never interpolated |
 * | `count`                          | all                 | 0                                                  |
 *
 * `time_avg` weighs each value by how long it held, until the next one: the mean of a sensor that reports changes only. A
 * boolean counts as 1 and 0, so that its `time_avg` is the share of the time in which it was true.
 */
import type { FieldType } from '@varve/common/contract/columns.js';

export interface RangeAggregate {
  readonly name: string;
  /** Over the values of one bucket; undefined for `time_avg`, which looks beyond its rows. */
  readonly sql: ((value: string) => string) | undefined;
  readonly takesText: boolean;
  /** The result is a number. */
  readonly isNumber: boolean;
  /** The last value before the window stands for the bucket before the first. */
  readonly isSeeded: boolean;
}

const numeric = { takesText: false, isNumber: true, isSeeded: true };
const plain: Readonly<Record<string, RangeAggregate>> = {
  avg: { name: 'avg', sql: (value) => `avg(${value})`, ...numeric },
  sum: { name: 'sum', sql: (value) => `sum(${value})`, ...numeric, isSeeded: false },
  stddev: { name: 'stddev', sql: (value) => `stddev_samp(${value})`, ...numeric, isSeeded: false },
  median: { name: 'median', sql: (value) => `quantile_cont(${value}, 0.5)`, ...numeric },
  time_avg: { name: 'time_avg', sql: undefined, ...numeric },
  count: {
    name: 'count',
    sql: (value) => `count(${value})`,
    takesText: true,
    isNumber: true,
    isSeeded: false,
  },
  min: { name: 'min', sql: (value) => `min(${value})`, takesText: true, isNumber: false, isSeeded: true },
  max: { name: 'max', sql: (value) => `max(${value})`, takesText: true, isNumber: false, isSeeded: true },
  first: {
    name: 'first',
    sql: (value) => `arg_min(${value}, moment)`,
    takesText: true,
    isNumber: false,
    isSeeded: true,
  },
  last: {
    name: 'last',
    sql: (value) => `arg_max(${value}, moment)`,
    takesText: true,
    isNumber: false,
    isSeeded: true,
  },
};

export const aggregateNames = [...Object.keys(plain), 'p95'];

/** Undefined where there is none of that name. */
export function findAggregate(name: string): RangeAggregate | undefined {
  const known = Object.hasOwn(plain, name) ? plain[name] : undefined;
  if (known) return known;
  const [, percent] = /^p(\d{1,2}(?:\.\d{1,3})?)$/.exec(name) ?? [];
  if (percent === undefined || Number(percent) === 0) return undefined;
  // A number that the pattern has let through, not a client's text.
  const share = Number(percent) / 100;
  return { name: name.replace('.', '_'), sql: (value) => `quantile_cont(${value}, ${share})`, ...numeric };
}

/** A field over rows, as a number where it is counted with. */
export function numberOf(name: string, type: FieldType): string {
  return type === 'boolean' ? `${name}::INTEGER` : name;
}
