/**
 * What a shipment says of itself: the key-value metadata of its Parquet file (DESIGN §5.5), contract version 1.
 *
 * Version 1, for ever readable:
 *
 * | key                      | value                                                        |
 * |--------------------------|--------------------------------------------------------------|
 * | varve.contract           | `1`                                                          |
 * | varve.agent, .epoch, .lane, .database, .table | as in the key                           |
 * | varve.seq, .rows         | decimal integers                                             |
 * | varve.tags               | JSON array of the tag columns' names, in sort order          |
 * | varve.original_names     | JSON object, column → name before folding; `{}` when none    |
 * | varve.decimals           | JSON object, column → declared decimals (0 to 15) of double columns (`Field`); absent when none |
 * | varve.log_first, .log_last | first and last log sequence whose messages are in the file |
 * | varve.lost_rows          | decimal integer, absent when 0: rows that were in this shipment before the agent lost its file and made it again from what its log still had; the file may be empty then |
 * | varve.aggregate          | only in a table of aggregates: see `aggregate.ts`            |
 *
 * Columns: `time` INT64 TIMESTAMP(MICROS, UTC) not null; tags BYTE_ARRAY STRING; fields DOUBLE, INT64, BOOLEAN or
 * BYTE_ARRAY STRING. Rows are sorted by tags, then time; rows with one (tags, time) stand in the order they came in.
 */
import { aggregateKey, formatAggregateFacts, type AggregateFacts } from './aggregate.js';
import type { InboxKey } from './object-keys.js';

export const contractVersion = 1;

export interface ShipmentMetadata extends InboxKey {
  readonly rowCount: number;
  readonly tags: readonly string[];
  readonly originalNames: Readonly<Record<string, string>>;
  /** Column → decimals of doubles with a declared resolution. Absent: none. */
  readonly decimals?: Readonly<Record<string, number>> | undefined;
  readonly firstLogSeq: number;
  readonly lastLogSeq: number;
  /** Absent: none. */
  readonly lostRows?: number | undefined;
  /** Of a table of aggregates. */
  readonly aggregate?: AggregateFacts | undefined;
}

export function formatShipmentMetadata(metadata: ShipmentMetadata): Map<string, string> {
  return new Map([
    ['varve.contract', String(contractVersion)],
    ['varve.agent', metadata.agent],
    ['varve.epoch', metadata.epoch],
    ['varve.lane', metadata.lane],
    ['varve.database', metadata.database],
    ['varve.table', metadata.table],
    ['varve.seq', String(metadata.seq)],
    ['varve.rows', String(metadata.rowCount)],
    ['varve.tags', JSON.stringify(metadata.tags)],
    ['varve.original_names', JSON.stringify(metadata.originalNames)],
    ...formatDecimals(metadata.decimals),
    ['varve.log_first', String(metadata.firstLogSeq)],
    ['varve.log_last', String(metadata.lastLogSeq)],
    ...(metadata.aggregate ? ([[aggregateKey, formatAggregateFacts(metadata.aggregate)]] as const) : []),
    ...(metadata.lostRows ? ([['varve.lost_rows', String(metadata.lostRows)]] as const) : []),
  ]);
}

function formatDecimals(decimals: ShipmentMetadata['decimals'] = {}): [string, string][] {
  return Object.keys(decimals).length === 0 ? [] : [['varve.decimals', JSON.stringify(decimals)]];
}
