/**
 * Functions of times in a form in which DuckDB is quick.
 *
 * Of a `TIMESTAMP WITH TIME ZONE`, which `time` is, DuckDB asks a calendar about every row: of three million rows, on one
 * machine, `time_bucket('1 day', time)` takes 26 s, `date_trunc('hour', time)` 0.7 s, `hour(time)` 0.4 s. Queries run in UTC
 * (`query-database.ts`), where it is all sums of microseconds: 0.04 s.
 *
 * | written                                          | becomes                                                            |
 * |--------------------------------------------------|--------------------------------------------------------------------|
 * | `time_bucket(width, time)`, of a fixed width     | `make_timestamptz(µs - (µs + shift) % width)`, µs: `epoch_us(time)`  |
 * | `date_trunc` to second, minute, hour, day, week  | the same                                                           |
 * | both, to months, years, by parameters            | themselves of `make_timestamp(µs)`, which asks no calendar         |
 * | `date_part`, `hour`, `weekday`, …, `time::DATE`  | the same                                                           |
 * | `time_bucket` with an origin or an offset        | itself of `make_timestamp(µs)`                                     |
 * | `time_bucket(days or months, time, 'Area/City')` | `timezone(zone, time_bucket(width, timezone(zone, time)))`         |
 *
 * Where it is certain that the argument is a table's `time` or what one of these makes of it (`time-columns.ts`). By which files a
 * statement is answered is decided from what is written, before.
 */
import { constantValue } from './constant-value.js';
import { callOf, castOf, constantOf, nameAt, plainCall, type SqlNode } from './sql-tree.js';

/** Whether an expression is a time, for certain. */
export type IsTime = (expression: SqlNode) => boolean;

/** Of which the value is a time again. */
const roundings = new Set(['time_bucket', 'date_trunc', 'datetrunc']);

const secondUs = 1_000_000;
const unitUs: Readonly<Record<string, number>> = {
  second: secondUs,
  minute: 60 * secondUs,
  hour: 3_600 * secondUs,
  day: 86_400 * secondUs,
  week: 7 * 86_400 * secondUs,
};

const parts = new Set(
  `century day dayofmonth dayofweek dayofyear decade dow doy hour isodow isoyear microsecond microseconds millennium
  millisecond milliseconds minute month quarter second week weekday weekofyear year yearweek`
    .trim()
    .split(/\s+/),
);
/** Functions of one argument: parts, and names of them. */
const partFunctions = new Set(
  `century day dayname dayofmonth dayofweek dayofyear decade hour isodow isoyear microsecond millennium millisecond minute
  month monthname quarter second week weekday weekofyear year yearweek`
    .trim()
    .split(/\s+/),
);

/** Of a call whose value is a time if its second argument is one. */
export function roundedTime(expression: SqlNode): SqlNode | undefined {
  const call = plainCall(expression);
  if (call === undefined || !roundings.has(call.name)) return undefined;
  const isKnown = call.args.length === 2 || (call.name === 'time_bucket' && thirdOf(call.args) !== undefined);
  return isKnown ? call.args[1] : undefined;
}

/** What the third argument of `time_bucket` is, where there is a quick form with it. */
function thirdOf([width, , third, ...others]: readonly SqlNode[]): 'zone' | 'origin' | 'offset' | undefined {
  if (!width || !third || others.length > 0) return undefined;
  if (castOf(third)?.type === 'TIMESTAMP WITH TIME ZONE') return 'origin';
  if (constantValue(third, noContext)?.kind === 'interval') return 'offset';
  // Shorter ones are quick, and other buckets than those of local time where clocks change.
  const unit = plainCall(width)?.name ?? textOf(castOf(width)?.child ?? width) ?? '';
  const isOfDays = /^(?:to_|\d+ ?)(?:day|week|month|quarter|year)s?$/.test(unit);
  return isOfDays && textOf(third)?.includes('/') === true ? 'zone' : undefined;
}

/** @returns the quick form; undefined where there is none */
export function quickForm(expression: SqlNode, isTime: IsTime): SqlNode | undefined {
  const cast = castOf(expression);
  if (cast)
    return cast.type === 'DATE' && isTime(cast.child)
      ? { ...expression, child: plain(cast.child) }
      : undefined;
  const call = plainCall(expression);
  const rounding = roundedTime(expression);
  const time = rounding ?? call?.args.at(-1);
  if (!call || !time || !isTime(time)) return undefined;
  const [first] = call.args;
  if (rounding) return { ...quickRounding(expression, call.args, time), alias: expression['alias'] };
  const isPart = call.name === 'date_part' || call.name === 'datepart';
  if (isPart && call.args.length === 2 && first && parts.has(textOf(first) ?? ''))
    return { ...expression, children: [first, plain(time)] };
  return call.args.length === 1 && partFunctions.has(call.name)
    ? { ...expression, children: [plain(time)] }
    : undefined;
}

function quickRounding(expression: SqlNode, args: readonly SqlNode[], time: SqlNode): SqlNode {
  const [first = {}, , third] = args;
  const itself = (...own: SqlNode[]): SqlNode => ({ ...expression, alias: '', children: own });
  if (!third) {
    // The sum has its argument twice: calls inside calls would grow without end.
    const widthUs =
      time['class'] === 'COLUMN_REF' ? widthOf(nameAt(expression, 'function_name'), first) : undefined;
    const rounded =
      widthUs === undefined ? epoch(itself(first, plain(time))) : roundedDown(time, BigInt(widthUs));
    return callOf('make_timestamptz', [rounded]);
  }
  const kind = thirdOf(args);
  if (kind === 'zone') return callOf('timezone', [third, itself(first, callOf('timezone', [third, time]))]);
  return callOf('make_timestamptz', [
    epoch(itself(first, plain(time), kind === 'origin' ? plain(third) : third)),
  ]);
}

const noContext = { params: [], nowUs: 0 };

function textOf(expression: SqlNode): string | undefined {
  const value = constantValue(expression, noContext);
  return value?.kind === 'text' ? value.text.toLowerCase() : undefined;
}

function widthOf(name: string, first: SqlNode): number | undefined {
  return name === 'time_bucket' ? fixedWidth(first) : unitUs[textOf(first) ?? ''];
}

/** In microseconds; undefined where it has months, or is not known before it runs. */
function fixedWidth(width: SqlNode): number | undefined {
  const isText = constantValue(width, noContext)?.kind === 'text';
  const interval = isText ? { class: 'CAST', child: width, cast_type: { id: 'INTERVAL' } } : width;
  const value = constantValue(interval, noContext);
  const isFixed =
    value?.kind === 'interval' && value.minUs === value.maxUs && Number.isSafeInteger(value.minUs);
  return isFixed && value.minUs > 0 ? value.minUs : undefined;
}

/** Where buckets begin to be counted: a Monday, 2000-01-03. */
const originUs = 946_857_600_000_000n;
/** 31,000 years: whatever a table holds is after the origin shifted back by that, and a remainder not negative. */
const farUs = 10n ** 18n;

function roundedDown(time: SqlNode, widthUs: bigint): SqlNode {
  const shiftUs = (farUs / widthUs) * widthUs - originUs;
  const shifted = operator('+', epoch(time), long(shiftUs));
  return operator('-', epoch(time), operator('%', shifted, long(widthUs)));
}

const epoch = (time: SqlNode) => callOf('epoch_us', [time]);
/** As text: no double holds it. */
const long = (value: bigint) => constantOf(value.toString(), 'BIGINT');
/** A `TIMESTAMP` of the same look. */
const plain = (time: SqlNode) => callOf('make_timestamp', [epoch(time)]);
const operator = (sign: string, left: SqlNode, right: SqlNode): SqlNode => ({
  ...callOf(sign, [left, right]),
  is_operator: true,
});
