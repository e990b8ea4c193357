/** Whether a reader found what is there: the number of rows, and a checksum of every column. */
import { createHash } from 'node:crypto';
import type { ReadRow } from './rows.js';

export interface ColumnChecksum {
  readonly column: string;
  readonly values: number;
  readonly checksum: string;
}

/** Of the columns that have any value, by name. Rows count in the order of time and tags, in whatever order they come. */
export function checksumsOf(rows: readonly ReadRow[]): ColumnChecksum[] {
  const sorted = rows
    .map((row) => ({ row, key: JSON.stringify([row['time'], row['site'] ?? null, row['device'] ?? null]) }))
    .sort((left, right) => (left.key < right.key ? -1 : 1))
    .map(({ row }) => row);
  const columns = [...new Set(sorted.flatMap((row) => Object.keys(row)))].sort();
  return columns.flatMap((column) => {
    const hash = createHash('sha256');
    for (const row of sorted) hash.update(`${row[column] ?? '\0'}\n`);
    const values = sorted.filter((row) => (row[column] ?? null) !== null).length;
    return values === 0 ? [] : { column, values, checksum: hash.digest('hex').slice(0, 16) };
  });
}

/** What is wrong, in words; empty when all is right. */
export function differences(found: readonly ReadRow[], expected: readonly ReadRow[]): string[] {
  if (found.length !== expected.length) return [`${found.length} rows, not ${expected.length}`];
  const before = new Map(checksumsOf(expected).map((one) => [one.column, one]));
  const after = new Map(checksumsOf(found).map((one) => [one.column, one]));
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((column) => {
    const [is, ought] = [after.get(column), before.get(column)];
    if (is?.checksum === ought?.checksum) return [];
    return [
      `${column}: ${is?.values ?? 'no'} values with checksum ${is?.checksum ?? '-'}, not ${ought?.values ?? 'none'} with ${ought?.checksum ?? '-'}`,
    ];
  });
}
