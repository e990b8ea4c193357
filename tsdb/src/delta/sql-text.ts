/**
 * Pieces of SQL for DuckDB. Names are validated long before they get here and quoted all the same.
 */
import type { Field, FieldType } from '@varve/common/contract/columns.js';
import { decimalDigits } from './schema.js';

export const timeSqlType = 'TIMESTAMPTZ';

const sqlTypes: Readonly<Record<FieldType, string>> = {
  double: 'DOUBLE',
  long: 'BIGINT',
  boolean: 'BOOLEAN',
  string: 'VARCHAR',
};

export function sqlType(type: FieldType): string {
  return sqlTypes[type];
}

/** Of the column in a data file; a query sees `sqlType`. */
export function storedSqlType({ type, decimals }: Pick<Field, 'type' | 'decimals'>): string {
  return decimals === undefined ? sqlTypes[type] : `DECIMAL(${decimalDigits}, ${decimals})`;
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * A local file's path for `read_parquet`, which takes a path for a pattern: characters that would mean something in
 * one stand in brackets.
 */
export function quotePath(path: string): string {
  return quoteText(path.replaceAll(/[*?[]/g, '[$&]'));
}

export function timestampUs(us: number): string {
  return `make_timestamptz(${us}::BIGINT)`;
}

/**
 * The UTC date of an expression of `timeSqlType`, by whatever zone the session has. A cast says the same in UTC, and asks the
 * library of time zones of each row: 125 ns instead of 10.
 */
export function utcDate(time: string): string {
  return `CAST(make_timestamp(epoch_us(${time})) AS DATE)`;
}
