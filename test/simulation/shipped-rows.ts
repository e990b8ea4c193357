/** A batch as rows again: what would be in the Parquet file. */
import type { BatchColumns, NamedColumn } from '@varve/edge-agent/batch/table-batch.js';

export type Row = Readonly<Record<string, number | string>>;

export function readRows({ rowCount, timeUs, tags, fields }: BatchColumns): Row[] {
  return Array.from({ length: rowCount }, (_, row) => {
    const values: Record<string, number | string> = { time: timeUs[row] ?? 0 };
    for (const column of [...tags, ...fields]) {
      const value = valueAt(column, row);
      if (value !== undefined) values[column.name] = value;
    }
    return values;
  });
}

function valueAt({ values, validity, texts, type }: NamedColumn, row: number): number | string | undefined {
  if (((validity[row >> 3] ?? 0) & (1 << (row & 7))) === 0) return undefined;
  const value = values[row] ?? 0;
  return type === 'string' ? texts[value] : value;
}
