/** Reads back what `shipment.ts` writes. Apart from it, so that an agent, which only writes, does without zod. */
import { z } from 'zod';
import { Failure } from '../errors.js';
import { aggregateKey, type AggregateFacts } from './aggregate.js';
import { decimalsMax } from './columns.js';
import { identifierPattern } from './names.js';
import { parseAggregateFacts } from './read-aggregate.js';
import { contractVersion, type ShipmentMetadata } from './shipment.js';

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
