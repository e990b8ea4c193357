/**
 * A decoder turns the bytes of one payload into rows of names and values, or says why it cannot. One file per format
 * beside this one. It knows nothing of streams: which of the values are fields, tags or the time is the mapper's to say
 * (`mapper.ts`).
 */
import type { DecodedRows } from './decoded-rows.js';

/** Every reason there is; metrics count by these. */
export const refusalCodes = [
  'no_stream',
  'not_json',
  'not_object',
  'not_value',
  'not_csv',
  'not_line_protocol',
  'no_rows',
  'no_time',
  'no_field',
  'name_clash',
  'too_deep',
  'too_many_rows',
  'too_many_fields',
  'too_many_tags',
  'too_many_tables',
  'table_taken',
] as const;
export type RefusalCode = (typeof refusalCodes)[number];

/** Why a message makes no row: it goes to the dead letters with this. */
export class Refusal {
  /** Stable, for counting. */
  readonly code: RefusalCode;
  /** For the person who mends it: what was found, and where. */
  readonly reason: string;

  constructor(code: RefusalCode, reason: string) {
    this.code = code;
    this.reason = reason;
  }
}

/**
 * Fills `rows`, which is empty, from the payload. Never throws, whatever the bytes; after a refusal `rows` is not looked at.
 */
export type Decode = (payload: Uint8Array, rows: DecodedRows) => Refusal | undefined;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The payload as text, without a byte order mark; undefined where it is not UTF-8. */
export function readText(payload: Uint8Array): string | undefined {
  try {
    return utf8.decode(payload);
  } catch {
    return undefined;
  }
}
