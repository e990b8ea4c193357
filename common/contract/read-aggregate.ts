/** Reads back what `aggregate.ts` writes. Apart from it, so that an agent, which only writes, does without zod. */
import { z } from 'zod';
import { sortQuantiles, tableQuantilesMax, type AggregateFacts } from './aggregate.js';

const factsSchema = z
  .object({
    every_ms: z.int().positive(),
    quantiles: z.array(z.number().gt(0).lt(1)).max(tableQuantilesMax).optional(),
  })
  .transform(({ every_ms, quantiles = [] }): AggregateFacts => {
    const shown = sortQuantiles(quantiles);
    return { everyMs: every_ms, ...(shown.length > 0 && { quantiles: shown }) };
  });

/** Undefined where the text is none. */
export function parseAggregateFacts(text: string): AggregateFacts | undefined {
  try {
    return factsSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
