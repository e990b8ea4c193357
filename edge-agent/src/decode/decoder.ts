/**
 * A decoder turns one payload into rows of one table, or says why it cannot. One file per format beside this one.
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import type { TableBatch } from '../batch/table-batch.js';
import type { TimeUnit } from './time.js';

/** Every reason there is; metrics count by these. */
export const refusalCodes = [
  'no_stream',
  'not_json',
  'not_object',
  'no_time',
  'no_field',
  'name_clash',
  'too_many_fields',
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

/** What a decoder needs to know of its stream. */
export interface DecodeRules {
  /** Absent: arrival time. */
  readonly time: { readonly path: string; readonly unit: TimeUnit } | undefined;
  /** Absent: all that are not tags or the time. Keys as the sensor writes them. */
  readonly fields: ReadonlyMap<string, FieldType> | undefined;
  readonly tags: ReadonlySet<string>;
}

export interface DecodeInput {
  readonly payload: Uint8Array;
  readonly arrivedMs: number;
  /** In the order of the batch's tags. */
  readonly tagValues: readonly string[];
}

/**
 * Adds the payload's rows to `batch`, all of them or none. Never throws, whatever the bytes.
 */
export type Decode = (input: DecodeInput, batch: TableBatch) => Refusal | undefined;
