/**
 * Values as JSON text.
 *
 * | type                      | JSON                                                                        |
 * |---------------------------|-----------------------------------------------------------------------------|
 * | integers of any size      | number within ±(2^53 - 1), text beyond: no reader loses digits unawares     |
 * | float, double             | number; NaN and the infinities are null                                     |
 * | decimal                   | number, with all its digits                                                 |
 * | timestamps                | RFC 3339 in UTC; infinite ones are null                                     |
 * | date                      | `2026-01-01`                                                                |
 * | interval                  | ISO 8601, `P1M2DT3.5S`                                                      |
 * | binary                    | base64                                                                      |
 * | list, array               | array                                                                       |
 * | struct                    | object                                                                      |
 * | map                       | object where keys are text, else an array of `[key, value]`                 |
 * | union                     | its value                                                                   |
 * | all others                | text, as DuckDB writes it                                                   |
 */
import {
  DuckDBArrayType,
  DuckDBBlobValue,
  DuckDBListType,
  DuckDBMapType,
  DuckDBStructType,
  DuckDBTypeId,
  DuckDBUnionType,
  type DuckDBArrayValue,
  type DuckDBDateValue,
  type DuckDBIntervalValue,
  type DuckDBListValue,
  type DuckDBMapValue,
  type DuckDBStructValue,
  type DuckDBType,
  type DuckDBUnionValue,
  type DuckDBValue,
} from '@duckdb/node-api';
import { dateText, intervalText, timestampText } from './time-text.js';

export type JsonEncoder = (value: DuckDBValue) => string;

/** The encoder for values of a type, nulls included. */
export function jsonEncoder(type: DuckDBType): JsonEncoder {
  const encode = encoderOf(type);
  return (value) => (value === null ? 'null' : encode(value));
}

function encoderOf(type: DuckDBType): JsonEncoder {
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType) return listEncoder(type.valueType);
  if (type instanceof DuckDBStructType) return structEncoder(type);
  if (type instanceof DuckDBMapType) return mapEncoder(type);
  if (type instanceof DuckDBUnionType) return unionEncoder(type);
  return scalarEncoders[type.typeId] ?? textOf;
}

const textOf: JsonEncoder = (value) => JSON.stringify(String(value));
const numberOf: JsonEncoder = (value) => (Number.isFinite(value) ? String(value) : 'null');
const wordOf: JsonEncoder = String;

/** Twice the memory of a float shows digits that it does not have: 0.1 would read 0.10000000149011612. */
const floatOf: JsonEncoder = (value) => {
  if (!Number.isFinite(value)) return 'null';
  const number = value as number;
  for (let digits = 6; digits < 9; digits++) {
    const shorter = Number(number.toPrecision(digits));
    if (Math.fround(shorter) === number) return String(shorter);
  }
  return String(Number(number.toPrecision(9)));
};

const integerOf: JsonEncoder = (value) =>
  Number.isSafeInteger(Number(value)) ? String(value) : `"${String(value)}"`;

/** What the bindings' five kinds of timestamps have between them; each has one of the units. */
interface Timestamp {
  readonly isFinite: boolean;
  readonly seconds: bigint;
  readonly millis: bigint;
  readonly micros: bigint;
  readonly nanos: bigint;
  toString(): string;
}

/** @param unitsOf the value in units of which a second has `perSecond` */
function timestampEncoder(perSecond: number, unitsOf: (timestamp: Timestamp) => bigint): JsonEncoder {
  return (value) => {
    const timestamp = value as unknown as Timestamp;
    const text = timestampText(unitsOf(timestamp), perSecond);
    if (text !== undefined) return `"${text}"`;
    return timestamp.isFinite ? JSON.stringify(timestamp.toString()) : 'null';
  };
}

const scalarEncoders: Readonly<Partial<Record<DuckDBTypeId, JsonEncoder>>> = {
  [DuckDBTypeId.BOOLEAN]: wordOf,
  [DuckDBTypeId.TINYINT]: wordOf,
  [DuckDBTypeId.SMALLINT]: wordOf,
  [DuckDBTypeId.INTEGER]: wordOf,
  [DuckDBTypeId.UTINYINT]: wordOf,
  [DuckDBTypeId.USMALLINT]: wordOf,
  [DuckDBTypeId.UINTEGER]: wordOf,
  [DuckDBTypeId.BIGINT]: integerOf,
  [DuckDBTypeId.UBIGINT]: integerOf,
  [DuckDBTypeId.HUGEINT]: integerOf,
  [DuckDBTypeId.UHUGEINT]: integerOf,
  [DuckDBTypeId.BIGNUM]: integerOf,
  [DuckDBTypeId.FLOAT]: floatOf,
  [DuckDBTypeId.DOUBLE]: numberOf,
  [DuckDBTypeId.DECIMAL]: wordOf,
  [DuckDBTypeId.TIMESTAMP_S]: timestampEncoder(1, ({ seconds }) => seconds),
  [DuckDBTypeId.TIMESTAMP_MS]: timestampEncoder(1_000, ({ millis }) => millis),
  [DuckDBTypeId.TIMESTAMP]: timestampEncoder(1_000_000, ({ micros }) => micros),
  [DuckDBTypeId.TIMESTAMP_TZ]: timestampEncoder(1_000_000, ({ micros }) => micros),
  [DuckDBTypeId.TIMESTAMP_NS]: timestampEncoder(1_000_000_000, ({ nanos }) => nanos),
  [DuckDBTypeId.DATE]: (value) => {
    const date = value as DuckDBDateValue;
    const text = dateText(date.days);
    if (text !== undefined) return `"${text}"`;
    return date.isFinite ? JSON.stringify(date.toString()) : 'null';
  },
  [DuckDBTypeId.INTERVAL]: (value) => {
    const { months, days, micros } = value as DuckDBIntervalValue;
    return JSON.stringify(intervalText(months, days, micros));
  },
  [DuckDBTypeId.BLOB]: (value) =>
    value instanceof DuckDBBlobValue ? `"${Buffer.from(value.bytes).toString('base64')}"` : textOf(value),
};

function listEncoder(itemType: DuckDBType): JsonEncoder {
  const encode = jsonEncoder(itemType);
  return (value) => `[${(value as DuckDBListValue | DuckDBArrayValue).items.map(encode).join(',')}]`;
}

function structEncoder({ entryNames, entryTypes }: DuckDBStructType): JsonEncoder {
  const members = entryTypes.map((type, index) => {
    const name = entryNames[index] ?? '';
    return { name, label: JSON.stringify(name), encode: jsonEncoder(type) };
  });
  return (value) => {
    const { entries } = value as DuckDBStructValue;
    return `{${members.map(({ name, label, encode }) => `${label}:${encode(entries[name] ?? null)}`).join(',')}}`;
  };
}

function mapEncoder({ keyType, valueType }: DuckDBMapType): JsonEncoder {
  const encodeKey = jsonEncoder(keyType);
  const encodeValue = jsonEncoder(valueType);
  const isObject = keyType.typeId === DuckDBTypeId.VARCHAR;
  return (value) => {
    const pairs = (value as DuckDBMapValue).entries.map(
      (entry) => [encodeKey(entry.key), encodeValue(entry.value)] as const,
    );
    return isObject
      ? `{${pairs.map(([key, text]) => `${key}:${text}`).join(',')}}`
      : `[${pairs.map(([key, text]) => `[${key},${text}]`).join(',')}]`;
  };
}

function unionEncoder({ memberTags, memberTypes }: DuckDBUnionType): JsonEncoder {
  const encoders = new Map(memberTypes.map((type, index) => [memberTags[index] ?? '', jsonEncoder(type)]));
  return (value) => {
    const { tag, value: member } = value as DuckDBUnionValue;
    return (encoders.get(tag) ?? textOf)(member);
  };
}
