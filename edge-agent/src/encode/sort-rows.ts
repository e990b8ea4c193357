/**
 * The order of rows in a shipment: by tags (UTF-8 bytes, null first), then time, then arrival (DESIGN §5.5).
 */
import type { BatchColumns } from '../batch/table-batch.js';

/** For each place in the sorted order, the row that stands there. */
export function planRowOrder({ rowCount, timeUs, tags }: BatchColumns): Uint32Array {
  const ranks = tags.map(rankRows);
  const order = new Uint32Array(rowCount).map((_, row) => row);
  return order.sort((a, b) => {
    for (const rank of ranks) {
      const difference = (rank[a] ?? 0) - (rank[b] ?? 0);
      if (difference !== 0) return difference;
    }
    // Rows with one (tags, time) keep the order they came in: the last of them wins.
    return (timeUs[a] ?? 0) - (timeUs[b] ?? 0) || a - b;
  });
}

/** The rank of each row's value among the values of the column; 0 is null. */
function rankRows({ values, validity, texts }: BatchColumns['tags'][number]): Uint32Array {
  // JavaScript compares UTF-16 units; Parquet, Delta and SQL compare UTF-8 bytes.
  const sorted = texts.map((text, code) => ({ bytes: Buffer.from(text), code }));
  sorted.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  const rankOfCode = new Uint32Array(texts.length);
  for (const [index, { code }] of sorted.entries()) rankOfCode[code] = index + 1;
  return Uint32Array.from(values, (code, row) => (isValid(validity, row) ? (rankOfCode[code] ?? 0) : 0));
}

export function isValid(validity: Uint8Array, row: number): boolean {
  return ((validity[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
}
