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
import { dateText, intervalText, timestampText, zonedText } from './time-text.js';
import { defaultStyle, zoneOffsets, type Int64Style, type ValueStyle } from './value-style.js';

export type JsonEncoder = (value: DuckDBValue) => string;

/** The encoder for values of a type, nulls included. */
export function jsonEncoder(type: DuckDBType, style = defaultStyle): JsonEncoder {
  const encode = encoderOf(type, style);
  return (value) => (value === null ? 'null' : encode(value));
}

function encoderOf(type: DuckDBType, style: ValueStyle): JsonEncoder {
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType)
    return listEncoder(type.valueType, style);
  if (type instanceof DuckDBStructType) return structEncoder(type, style);
  if (type instanceof DuckDBMapType) return mapEncoder(type, style);
  if (type instanceof DuckDBUnionType) return unionEncoder(type, style);
  return styledEncoder(type.typeId, style) ?? scalarEncoders[type.typeId] ?? textOf;
}

const largeIntegers: ReadonlySet<DuckDBTypeId> = new Set([
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.UBIGINT,
  DuckDBTypeId.HUGEINT,
  DuckDBTypeId.UHUGEINT,
  DuckDBTypeId.BIGNUM,
]);

/** Where the style says otherwise than `scalarEncoders`. */
function styledEncoder(typeId: DuckDBTypeId, style: ValueStyle): JsonEncoder | undefined {
  const { timeFormat, timeZone, int64 } = style;
  if (largeIntegers.has(typeId)) return integerEncoders[int64];
  const unit = timestampUnits[typeId];
  if (unit === undefined) return undefined;
  if (timeFormat !== 'rfc3339') return epochEncoder(unit, epochUnits[timeFormat]);
  return typeId === DuckDBTypeId.TIMESTAMP_TZ && timeZone !== 'UTC'
    ? timestampEncoder(unit, zoneOffsets(timeZone))
    : undefined;
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

const integerEncoders: Readonly<Record<Int64Style, JsonEncoder>> = {
  auto: integerOf,
  string: (value) => `"${String(value)}"`,
  number: wordOf,
};

/** What the bindings' five kinds of timestamps have between them; each has one of the units. */
interface Timestamp {
  readonly isFinite: boolean;
  readonly seconds: bigint;
  readonly millis: bigint;
  readonly micros: bigint;
  readonly nanos: bigint;
  toString(): string;
}

interface TimestampUnit {
  readonly perSecond: number;
  readonly unitsOf: (timestamp: Timestamp) => bigint;
}

const timestampUnits: Readonly<Partial<Record<DuckDBTypeId, TimestampUnit>>> = {
  [DuckDBTypeId.TIMESTAMP_S]: { perSecond: 1, unitsOf: ({ seconds }) => seconds },
  [DuckDBTypeId.TIMESTAMP_MS]: { perSecond: 1_000, unitsOf: ({ millis }) => millis },
  [DuckDBTypeId.TIMESTAMP]: { perSecond: 1_000_000, unitsOf: ({ micros }) => micros },
  [DuckDBTypeId.TIMESTAMP_TZ]: { perSecond: 1_000_000, unitsOf: ({ micros }) => micros },
  [DuckDBTypeId.TIMESTAMP_NS]: { perSecond: 1_000_000_000, unitsOf: ({ nanos }) => nanos },
};

function timestampEncoder(
  { perSecond, unitsOf }: TimestampUnit,
  offsetAt?: (epochSeconds: number) => number,
): JsonEncoder {
  return (value) => {
    const timestamp = value as unknown as Timestamp;
    if (!timestamp.isFinite) return 'null';
    const units = unitsOf(timestamp);
    const text = offsetAt ? zonedText(units, perSecond, offsetAt) : timestampText(units, perSecond);
    return text === undefined ? JSON.stringify(timestamp.toString()) : `"${text}"`;
  };
}

const epochUnits = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 } as const;

/** Whole units; a fraction of one stays where the unit is too large for the value, as what it is. */
function epochEncoder({ perSecond, unitsOf }: TimestampUnit, wantedPerSecond: number): JsonEncoder {
  return (value) => {
    const timestamp = value as unknown as Timestamp;
    if (!timestamp.isFinite) return 'null';
    const units = unitsOf(timestamp);
    return wantedPerSecond >= perSecond
      ? String(units * BigInt(wantedPerSecond / perSecond))
      : String(Number(units) / (perSecond / wantedPerSecond));
  };
}

const scalarEncoders: Readonly<Partial<Record<DuckDBTypeId, JsonEncoder>>> = {
  ...Object.fromEntries(
    Object.entries(timestampUnits).map(([typeId, unit]) => [typeId, timestampEncoder(unit)]),
  ),
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

function listEncoder(itemType: DuckDBType, style: ValueStyle): JsonEncoder {
  const encode = jsonEncoder(itemType, style);
  return (value) => `[${(value as DuckDBListValue | DuckDBArrayValue).items.map(encode).join(',')}]`;
}

function structEncoder({ entryNames, entryTypes }: DuckDBStructType, style: ValueStyle): JsonEncoder {
  const members = entryTypes.map((type, index) => {
    const name = entryNames[index] ?? '';
    return { name, label: JSON.stringify(name), encode: jsonEncoder(type, style) };
  });
  return (value) => {
    const { entries } = value as DuckDBStructValue;
    return `{${members.map(({ name, label, encode }) => `${label}:${encode(entries[name] ?? null)}`).join(',')}}`;
  };
}

function mapEncoder({ keyType, valueType }: DuckDBMapType, style: ValueStyle): JsonEncoder {
  const encodeKey = jsonEncoder(keyType, style);
  const encodeValue = jsonEncoder(valueType, style);
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

function unionEncoder({ memberTags, memberTypes }: DuckDBUnionType, style: ValueStyle): JsonEncoder {
  const encoders = new Map(
    memberTypes.map((type, index) => [memberTags[index] ?? '', jsonEncoder(type, style)]),
  );
  return (value) => {
    const { tag, value: member } = value as DuckDBUnionValue;
    return (encoders.get(tag) ?? textOf)(member);
  };
}
