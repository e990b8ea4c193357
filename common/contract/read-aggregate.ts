/** Reads back what `aggregate.ts` writes. Apart from it, so that an agent, which only writes, does without zod. */
import { z } from 'zod';
import type { AggregateFacts } from './aggregate.js';

const factsSchema = z
  .object({ every_ms: z.int().positive() })
  .transform(({ every_ms }): AggregateFacts => ({ everyMs: every_ms }));

/** Undefined where the text is none. */
export function parseAggregateFacts(text: string): AggregateFacts | undefined {
  try {
    return factsSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
