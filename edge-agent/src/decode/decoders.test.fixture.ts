/** What a decoder makes of a payload, as plain values. */
import { DecodedRows, type Scalar, type ValueKind } from './decoded-rows.js';
import { Refusal, type Decode } from './decoder.js';

export type PlainEntry = readonly [name: string, kind: ValueKind, value: Scalar];

export interface PlainRow {
  readonly entries: readonly PlainEntry[];
  readonly time?: string;
  readonly measurement?: string;
}

/** Entries that rows share stand behind each row's own. */
export function decodePlain(decode: Decode, payload: string | Uint8Array): PlainRow[] | Refusal {
  const rows = new DecodedRows();
  const refusal = decode(typeof payload === 'string' ? Buffer.from(payload) : payload, rows);
  if (refusal) return refusal;
  return Array.from({ length: rows.rowCount }, (_, row) => {
    const entriesOf = (start = 0, end = 0) =>
      Array.from({ length: end - start }, (_, index): PlainEntry => {
        const at = start + index;
        return [rows.names[at] ?? '', rows.kinds[at] ?? 'text', rows.values[at] ?? ''];
      });
    const time = rows.times[row];
    const measurement = rows.measurements[row];
    return {
      entries: [
        ...entriesOf(rows.starts[row], rows.ends[row]),
        ...entriesOf(rows.sharedStarts[row], rows.sharedEnds[row]),
      ],
      ...(time !== undefined && { time }),
      ...(measurement !== undefined && { measurement }),
    };
  });
}
