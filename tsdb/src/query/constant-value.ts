/**
 * Expressions without columns, as values: what `time > now() - interval 5 minutes` compares with. Pure.
 *
 * Only what is certain is understood; everything else is undefined, which callers take for any value. An instant is a
 * range that holds it: `now()` is what it will be when the statement begins, some time after it was planned, and a month has
 * 28 to 31 days. The session's time zone is UTC (`query-database.ts`), so that text and timestamps without one are UTC.
 */
import type { Params, ParamValue } from './bind-params.js';
import { castOf, columnNames, plainCall, type SqlNode } from './sql-tree.js';

export const daysUs = 86_400_000_000;

export type ConstantValue =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'instant' | 'date'; readonly minUs: number; readonly maxUs: number }
  | { readonly kind: 'interval'; readonly minUs: number; readonly maxUs: number };

export interface ConstantContext {
  readonly params: Params;
  /** `now()` will not be before this. */
  readonly nowUs: number;
}

/** How long a query may have been under way when its `now()` is taken, and more. */
const nowAheadUs = 3_600_000_000;
/** A clock that is set back in between. */
const nowBehindUs = 10_000_000;

const nowNames = new Set(['now', 'get_current_timestamp', 'transaction_timestamp', 'current_timestamp']);

export function constantValue(node: SqlNode, context: ConstantContext): ConstantValue | undefined {
  const names = columnNames(node);
  if (names) return names.length === 1 && nowNames.has(names[0] ?? '') ? now(context) : undefined;
  const cast = castOf(node);
  if (cast) return castValue(constantValue(cast.child, context), cast.type);
  const call = plainCall(node);
  if (call) return callValue(call.name, call.args, context);
  if (node['class'] === 'CONSTANT') return literalValue(node['value'] as SqlNode | undefined);
  if (node['class'] === 'PARAMETER') return scalarValue(paramValue(node, context.params));
  return undefined;
}

/** The values that a list has, where it is one. */
export function constantList(node: SqlNode, context: ConstantContext): ConstantValue[] | undefined {
  const call = plainCall(node);
  const param = paramValue(node, context.params);
  const items = Array.isArray(param)
    ? (param as readonly ParamValue[]).map(scalarValue)
    : call?.name === 'list_value'
      ? call.args.map((item) => constantValue(item, context))
      : undefined;
  return items?.every((item) => item !== undefined) ? items : undefined;
}

/** Of a node that is a parameter. */
export function paramValue(node: SqlNode, params: Params): ParamValue | undefined {
  if (node['class'] !== 'PARAMETER') return undefined;
  const name = String(node['identifier']);
  if (Array.isArray(params)) return (params as readonly ParamValue[])[Number(name) - 1];
  return (params as Readonly<Record<string, ParamValue>>)[name];
}

function scalarValue(value: ParamValue | undefined): ConstantValue | undefined {
  if (typeof value === 'string') return { kind: 'text', text: value };
  return typeof value === 'number' ? { kind: 'number', number: value } : undefined;
}

function literalValue(literal: SqlNode | undefined): ConstantValue | undefined {
  if (literal === undefined || literal['is_null'] !== false) return undefined;
  const type = literal['type'] as SqlNode | undefined;
  const { value } = literal;
  if (type?.['id'] === 'VARCHAR' && typeof value === 'string') return { kind: 'text', text: value };
  if (typeof value !== 'number') return undefined;
  if (['INTEGER', 'BIGINT', 'DOUBLE'].includes(String(type?.['id'])))
    return Number.isSafeInteger(value) || type?.['id'] === 'DOUBLE'
      ? { kind: 'number', number: value }
      : undefined;
  return undefined;
}

function now({ nowUs }: ConstantContext): ConstantValue {
  return { kind: 'instant', minUs: nowUs - nowBehindUs, maxUs: nowUs + nowAheadUs };
}

function castValue(value: ConstantValue | undefined, type: string): ConstantValue | undefined {
  if (value === undefined) return undefined;
  switch (type) {
    case 'TIMESTAMP WITH TIME ZONE':
    case 'TIMESTAMP':
      return toInstant(value);
    case 'DATE':
      return toDate(value);
    case 'INTERVAL':
      return value.kind === 'text' ? parseInterval(value.text) : sameKind(value, 'interval');
    case 'VARCHAR':
      return sameKind(value, 'text');
    // `interval 5 minutes` comes as to_minutes(trunc(5::DOUBLE)::BIGINT).
    case 'DOUBLE':
      return sameKind(value, 'number');
    case 'BIGINT':
    case 'INTEGER':
      return value.kind === 'number' && Number.isInteger(value.number) ? value : undefined;
    default:
      return undefined;
  }
}

function sameKind(value: ConstantValue, kind: ConstantValue['kind']): ConstantValue | undefined {
  return value.kind === kind ? value : undefined;
}

/** As DuckDB converts it where it is compared with a time. */
export function toInstant(value: ConstantValue): ConstantValue | undefined {
  if (value.kind === 'instant') return value;
  if (value.kind === 'date') return { ...value, kind: 'instant' };
  return value.kind === 'text' ? parseInstant(value.text) : undefined;
}

export function toDate(value: ConstantValue): ConstantValue | undefined {
  if (value.kind === 'date') return value;
  if (value.kind === 'instant')
    return { kind: 'date', minUs: startOfDay(value.minUs), maxUs: startOfDay(value.maxUs) };
  return value.kind === 'text' && datePattern.test(value.text)
    ? sameInstant(Date.parse(`${value.text}T00:00:00Z`) * 1_000, 'date')
    : undefined;
}

function startOfDay(us: number): number {
  return Math.floor(us / daysUs) * daysUs;
}

function sameInstant(us: number, kind: 'instant' | 'date' = 'instant'): ConstantValue | undefined {
  return Number.isFinite(us) ? { kind, minUs: us, maxUs: us } : undefined;
}

const datePattern = /^\d{4}-\d\d-\d\d$/;
const instantPattern =
  /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,6}))?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?$/;

function parseInstant(text: string): ConstantValue | undefined {
  const [, date, clock = '00:00', fraction = '', zone = 'Z'] = instantPattern.exec(text) ?? [];
  if (date === undefined) return undefined;
  const offset = /^[+-]\d\d$/.test(zone) ? `${zone}:00` : zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2');
  const ms = Date.parse(`${date}T${clock.length === 5 ? `${clock}:00` : clock}${offset}`);
  return sameInstant(ms * 1_000 + Number(fraction.padEnd(6, '0')));
}

const fixedUnitsUs: Readonly<Record<string, number>> = {
  microsecond: 1,
  millisecond: 1e3,
  second: 1e6,
  minute: 60e6,
  hour: 3_600e6,
  day: daysUs,
  week: 7 * daysUs,
};
/** Fewest and most days. */
const calendarUnitsDays: Readonly<Record<string, readonly [number, number]>> = {
  month: [28, 31],
  quarter: [89, 93],
  year: [365, 366],
};

function interval(count: number, unit: string): ConstantValue | undefined {
  const fixedUs = fixedUnitsUs[unit];
  if (fixedUs !== undefined) return { kind: 'interval', minUs: count * fixedUs, maxUs: count * fixedUs };
  const days = calendarUnitsDays[unit];
  if (days === undefined) return undefined;
  const ends = days.map((day) => count * day * daysUs);
  return { kind: 'interval', minUs: Math.min(...ends), maxUs: Math.max(...ends) };
}

function parseInterval(text: string): ConstantValue | undefined {
  const [, count, unit] = /^\s*(\d{1,9})\s+([a-z]+?)s?\s*$/i.exec(text) ?? [];
  return count === undefined || unit === undefined ? undefined : interval(Number(count), unit.toLowerCase());
}

function callValue(
  name: string,
  args: readonly SqlNode[],
  context: ConstantContext,
): ConstantValue | undefined {
  if (nowNames.has(name) && args.length === 0) return now(context);
  if ((name === 'today' || name === 'current_date') && args.length === 0)
    return castValue(now(context), 'DATE');
  const [left, right] = args.map((arg) => constantValue(arg, context));
  if (left === undefined) return undefined;
  if (args.length === 1) return oneArgument(name, left);
  return args.length === 2 && right !== undefined ? sum(name, left, right) : undefined;
}

/** `interval(count, unit)` by the name of the function. */
const unitOfFunction = /^to_([a-z]+)s$/;

function oneArgument(name: string, value: ConstantValue): ConstantValue | undefined {
  if (value.kind !== 'number') return undefined;
  const { number } = value;
  switch (name) {
    case 'trunc':
      return { kind: 'number', number: Math.trunc(number) };
    case '-':
      return { kind: 'number', number: -number };
    case 'to_timestamp':
      return { kind: 'instant', minUs: Math.floor(number * 1e6) - 1, maxUs: Math.ceil(number * 1e6) + 1 };
    case 'epoch_ms':
    case 'make_timestamp_ms':
      return Number.isInteger(number) ? sameInstant(number * 1e3) : undefined;
    case 'make_timestamp':
    case 'make_timestamptz':
      return Number.isInteger(number) ? sameInstant(number) : undefined;
    default: {
      const [, unit] = unitOfFunction.exec(name) ?? [];
      return unit !== undefined && Number.isInteger(number) ? interval(number, unit) : undefined;
    }
  }
}

function sum(name: string, left: ConstantValue, right: ConstantValue): ConstantValue | undefined {
  const instant = left.kind === 'date' ? toInstant(left) : left;
  if (right.kind !== 'interval' || instant === undefined) return undefined;
  if (instant.kind !== 'instant' && instant.kind !== 'interval') return undefined;
  const { kind, minUs, maxUs } = instant;
  if (name === '+') return { kind, minUs: minUs + right.minUs, maxUs: maxUs + right.maxUs };
  return name === '-' ? { kind, minUs: minUs - right.maxUs, maxUs: maxUs - right.minUs } : undefined;
}
