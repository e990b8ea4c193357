/**
 * What a value is: numbers and booleans recognised in text, and a declared type applied.
 *
 * A declared type takes every value that it can hold without losing anything: 7 and "7" as a long, 0 and 1 as booleans, 21.5
 * as a text. Any other value keeps its own type, and stands in the side column of that.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import type { Scalar, ValueKind } from './decoded-rows.js';

const numberPattern = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const integerPattern = /^[+-]?\d{1,30}$/;

/** As `declared` where it can be, else as what it is. */
export function toDeclared(value: Scalar, kind: ValueKind, declared: FieldType | undefined): Scalar {
  switch (declared) {
    case undefined:
      return kind === 'text' ? recognize(value as string) : value;
    case 'double':
      return toDouble(value) ?? toDeclared(value, kind, undefined);
    case 'long':
      return toLong(value) ?? toDeclared(value, kind, undefined);
    case 'boolean':
      return toBoolean(value) ?? toDeclared(value, kind, undefined);
    case 'string':
      return String(value);
  }
}

/** The column that a value made by `toDeclared` belongs in. Numbers are doubles, unless format or stream say long. */
export function typeOf(value: Scalar, kind: ValueKind, declared: FieldType | undefined): FieldType {
  if (typeof value === 'bigint') return 'long';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'string') return 'string';
  const isLong = declared === 'long' || (kind === 'long' && declared !== 'double');
  return isLong && Number.isSafeInteger(value) ? 'long' : 'double';
}

/** A number, a boolean, or else the text. An integer that a double cannot hold stays text: it is a name, not a quantity. */
function recognize(text: string): Scalar {
  if (isTrue(text)) return true;
  if (isFalse(text)) return false;
  const number = parseNumber(text);
  if (number === undefined) return text;
  return integerPattern.test(text) && !Number.isSafeInteger(number) ? text : number;
}

function parseNumber(text: string): number | undefined {
  if (!numberPattern.test(text)) return undefined;
  const number = Number(text);
  return Number.isFinite(number) ? number : undefined;
}

function toDouble(value: Scalar): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return BigInt(Number(value)) === value ? Number(value) : undefined;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return parseNumber(value.trim());
}

function toLong(value: Scalar): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  const text = value.trim();
  const number = parseNumber(text);
  if (number === undefined || Number.isSafeInteger(number) || !integerPattern.test(text)) return number;
  const exact = BigInt(text.replace('+', ''));
  return BigInt.asIntN(64, exact) === exact ? exact : undefined;
}

const trueTexts: ReadonlySet<string> = new Set(['true', 't', 'yes', 'on', '1']);
const falseTexts: ReadonlySet<string> = new Set(['false', 'f', 'no', 'off', '0']);

function toBoolean(value: Scalar): boolean | undefined {
  if (typeof value === 'boolean') return value;
  const text = String(value).trim().toLowerCase();
  if (trueTexts.has(text)) return true;
  return falseTexts.has(text) ? false : undefined;
}

function isTrue(text: string): boolean {
  return text === 'true' || text === 'True' || text === 'TRUE';
}

function isFalse(text: string): boolean {
  return text === 'false' || text === 'False' || text === 'FALSE';
}
