/**
 * Bind parameters: values from JSON with the types that DuckDB needs to know.
 *
 * Whole numbers are bound as BIGINT, others as DOUBLE, an array as a list of one type: `where device = any($devices)`.
 * A time is text; DuckDB converts it where it is compared with a time.
 */
import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  LIST,
  listValue,
  SQLNULL,
  VARCHAR,
  type DuckDBPreparedStatement,
  type DuckDBType,
  type DuckDBValue,
} from '@duckdb/node-api';
import { Failure } from '@varve/common/errors.js';

export type ParamScalar = string | number | boolean | null;
export type ParamValue = ParamScalar | readonly ParamScalar[];
/** An array for `?` and `$1`, an object for `$name`. */
export type Params = readonly ParamValue[] | Readonly<Record<string, ParamValue>>;

export interface TypedValue {
  readonly value: DuckDBValue;
  readonly type: DuckDBType;
}

/**
 * The value of each parameter by name, where the first of an array is called `1`.
 * @throws Failure `bad_param` where names and values do not match, or an array has several types
 */
export function planBinding(names: readonly string[], params: Params): Map<string, TypedValue> {
  const given = Array.isArray(params)
    ? params.map((value, index): [string, ParamValue] => [String(index + 1), value as ParamValue])
    : Object.entries(params as Readonly<Record<string, ParamValue>>);
  requireSameNames(
    names,
    given.map(([name]) => name),
  );
  return new Map(given.map(([name, value]) => [name, typedValue(name, value)]));
}

export function bind(statement: DuckDBPreparedStatement, values: ReadonlyMap<string, TypedValue>): void {
  for (const [name, { value, type }] of values)
    statement.bindValue(statement.parameterIndex(name), value, type);
}

function requireSameNames(wanted: readonly string[], given: readonly string[]): void {
  const missing = wanted.filter((name) => !given.includes(name));
  const unknown = given.filter((name) => !wanted.includes(name));
  if (missing.length === 0 && unknown.length === 0) return;
  const problems = [
    ...missing.map((name) => `there is no value for $${name}`),
    ...unknown.map((name) => `the SQL has no $${name}`),
  ];
  throw new Failure('bad_param', problems.join('; '), {
    hint: 'params is an array for $1, $2, …, or an object for $name',
    facts: { missing, unknown },
  });
}

function typedValue(name: string, value: ParamValue): TypedValue {
  return isList(value) ? typedList(name, value) : typedScalar(value);
}

function isList(value: ParamValue): value is readonly ParamScalar[] {
  return Array.isArray(value);
}

function typedScalar(value: ParamScalar): TypedValue {
  if (value === null) return { value, type: SQLNULL };
  if (typeof value === 'boolean') return { value, type: BOOLEAN };
  if (typeof value === 'string') return { value, type: VARCHAR };
  return Number.isSafeInteger(value) ? { value: BigInt(value), type: BIGINT } : { value, type: DOUBLE };
}

function typedList(name: string, items: readonly ParamScalar[]): TypedValue {
  const jsTypes = new Set(items.filter((item) => item !== null).map((item) => typeof item));
  if (jsTypes.size > 1)
    throw new Failure('bad_param', `the array for $${name} mixes ${[...jsTypes].join(' and ')}`, {
      hint: 'use one type in an array',
    });
  if (items.some((item) => typeof item === 'number' && !Number.isSafeInteger(item)))
    return { value: listValue([...items]), type: LIST(DOUBLE) };
  const typed = items.map(typedScalar);
  const itemType = typed.find(({ value }) => value !== null)?.type ?? SQLNULL;
  return { value: listValue(typed.map(({ value }) => value)), type: LIST(itemType) };
}
