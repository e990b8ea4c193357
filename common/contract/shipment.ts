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
import { z } from 'zod';
import { Failure } from '../errors.js';
import { aggregateKey, formatAggregateFacts, parseAggregateFacts, type AggregateFacts } from './aggregate.js';
import { decimalsMax } from './columns.js';
import { identifierPattern } from './names.js';
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

const integerText = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);

function jsonText<T extends z.ZodType>(schema: T) {
  return z.string().transform((text, context): z.infer<T> => {
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      context.addIssue({ code: 'custom', message: 'is not the JSON it should be' });
      return z.NEVER;
    }
  });
}

const aggregateText = z.string().transform((text, context): AggregateFacts => {
  const facts = parseAggregateFacts(text);
  if (facts) return facts;
  context.addIssue({ code: 'custom', message: 'is not the JSON it should be' });
  return z.NEVER;
});

const metadataSchema = z
  .object({
    'varve.contract': z.literal(String(contractVersion)),
    'varve.agent': z.string(),
    'varve.epoch': z.string(),
    'varve.lane': z.string(),
    'varve.database': z.string(),
    'varve.table': z.string(),
    'varve.seq': integerText,
    'varve.rows': integerText,
    'varve.tags': jsonText(z.array(z.string()).max(256)),
    'varve.original_names': jsonText(z.record(z.string(), z.string())),
    'varve.decimals': jsonText(
      z.record(z.string().regex(identifierPattern), z.int().min(0).max(decimalsMax)),
    ).optional(),
    'varve.log_first': integerText,
    'varve.log_last': integerText,
    'varve.lost_rows': integerText.optional(),
    [aggregateKey]: aggregateText.optional(),
  })
  .transform((raw): ShipmentMetadata => ({
    agent: raw['varve.agent'],
    epoch: raw['varve.epoch'],
    lane: raw['varve.lane'],
    database: raw['varve.database'],
    table: raw['varve.table'],
    seq: raw['varve.seq'],
    rowCount: raw['varve.rows'],
    tags: raw['varve.tags'],
    originalNames: raw['varve.original_names'],
    firstLogSeq: raw['varve.log_first'],
    lastLogSeq: raw['varve.log_last'],
    ...(raw['varve.decimals'] === undefined ? {} : { decimals: raw['varve.decimals'] }),
    ...(raw[aggregateKey] === undefined ? {} : { aggregate: raw[aggregateKey] }),
    ...(raw['varve.lost_rows'] === undefined ? {} : { lostRows: raw['varve.lost_rows'] }),
  }));

/** Reads the metadata back. @throws Failure `shipment_invalid`, naming every key that is missing or wrong */
export function parseShipmentMetadata(entries: ReadonlyMap<string, string>): ShipmentMetadata {
  const result = metadataSchema.safeParse(Object.fromEntries(entries));
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Failure('shipment_invalid', `the file's metadata breaks the contract: ${problems.join('; ')}`);
}
