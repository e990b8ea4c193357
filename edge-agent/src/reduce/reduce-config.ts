/** `reduce:` of a stream: which readings of a field say nothing new, and need not be shipped. */
import { z } from 'zod';
import { durationMs } from '@varve/common/config/units.js';

export type FilterRule =
  /** A value is kept when it differs from the last one kept by more than that. */
  | { readonly kind: 'deadband'; readonly absolute: number }
  /** By more than that share of the last one kept. */
  | { readonly kind: 'deadband'; readonly share: number }
  /** Straight lines between the values that are kept pass all others within that distance. */
  | { readonly kind: 'swinging_door'; readonly deviation: number };

export interface ReduceConfig {
  /** By column. */
  readonly rules: ReadonlyMap<string, FilterRule>;
  /** So often a value is kept in any case: so that sameness and silence differ. */
  readonly heartbeatMs: number;
}

const percentPattern = /^(\d+(?:\.\d+)?)\s*%$/;

const deadbandSchema = z
  .union([z.number().nonnegative(), z.string().regex(percentPattern)], {
    error: 'write a distance such as 0.5, or a share such as 2%',
  })
  .transform((raw): FilterRule => {
    if (typeof raw === 'number') return { kind: 'deadband', absolute: raw };
    return { kind: 'deadband', share: Number(percentPattern.exec(raw)?.[1]) / 100 };
  });

const doorSchema = z
  .number({ error: 'write a distance such as 0.5' })
  .positive('write a distance such as 0.5')
  .transform((deviation): FilterRule => ({ kind: 'swinging_door', deviation }));

const ruleSchema = z
  .strictObject({ deadband: deadbandSchema.optional(), swinging_door: doorSchema.optional() })
  .transform((raw, context): FilterRule => {
    const rules = [raw.deadband, raw.swinging_door].filter((rule) => rule !== undefined);
    const [rule] = rules;
    if (rule && rules.length === 1) return rule;
    context.addIssue({ code: 'custom', message: 'write one of deadband: 0.5 or swinging_door: 0.5' });
    return z.NEVER;
  });

export const reduceSchema = z
  .strictObject({
    heartbeat: durationMs({ minMs: 1_000, maxMs: 30 * 86_400_000 }).default(600_000),
    fields: z.record(z.string(), ruleSchema).refine((fields) => Object.keys(fields).length > 0, {
      error: 'name at least one field, such as temperature: { deadband: 0.5 }',
    }),
  })
  .transform(({ heartbeat, fields }): ReduceConfig => ({
    rules: new Map(Object.entries(fields)),
    heartbeatMs: heartbeat,
  }));
