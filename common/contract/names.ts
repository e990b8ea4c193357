/**
 * Names of agents, tables and columns (DESIGN §5.5): what is allowed, and how any other name is folded into it.
 */
import { Failure } from '../errors.js';

/** Agents, epochs, lanes: parts of object keys. */
export const keyPartPattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;
/** Databases, tables, columns: never quoted in SQL. */
export const identifierPattern = /^[a-z_][a-z0-9_]{0,62}$/;

/**
 * Names a column may not have: `time` is every table's time axis, `day` its partition. A field that is called so gets
 * a trailing underscore.
 */
export const reservedColumnNames: ReadonlySet<string> = new Set(['time', 'day']);

export function isIdentifier(name: string): boolean {
  return identifierPattern.test(name);
}

/**
 * Folds any text to a column or table name: accents off, lower case, everything else to `_`, at most 63 characters.
 * `"Temp °C"` becomes `temp_c`; a name with nothing usable in it becomes `_`.
 */
export function foldName(original: string): string {
  const folded = original
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '_')
    .replace(/(?<=[^_])_+$/, '')
    .slice(0, 62);
  if (folded === '') return '_';
  return /^[0-9]/.test(folded) ? `_${folded}` : folded;
}

/** As `foldName`, and out of the way of the reserved names: `time` becomes `time_`. */
export function foldColumnName(original: string): string {
  const folded = foldName(original);
  return reservedColumnNames.has(folded) ? `${folded}_` : folded;
}

export function requireKeyPart(what: string, value: string): string {
  if (keyPartPattern.test(value)) return value;
  throw new Failure('key_invalid', `${what} "${value}" is not a valid part of a key`, {
    hint: 'use a-z, 0-9, - and _, at most 63 characters',
  });
}

export function requireIdentifier(what: string, value: string): string {
  if (identifierPattern.test(value)) return value;
  throw new Failure('key_invalid', `${what} "${value}" is not a valid name`, {
    hint: 'use a-z, 0-9 and _, not starting with a digit, at most 63 characters',
  });
}
