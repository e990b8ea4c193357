/** How `reduce:` of a stream is written. */
import { z } from 'zod';
import { durationMs } from '@varve/common/config/units.js';
import { columnNameOf } from '../decode/stream-config.js';
import type { FieldRule, ReduceConfig } from './reduce-config.js';

const heartbeatDefaultMs = 600_000;
const percentPattern = /^(\d+(?:\.\d+)?)\s*%$/;
const expectedDeadband = 'write a distance such as 0.5, or a share such as 2%';

const deadbandSchema = z
  .union([z.number().nonnegative(expectedDeadband), z.string().regex(percentPattern, expectedDeadband)], {
    error: expectedDeadband,
  })
  .transform((raw): FieldRule => {
    if (typeof raw === 'number') return { kind: 'deadband', absolute: raw };
    return { kind: 'deadband', share: Number(percentPattern.exec(raw)?.[1]) / 100 };
  });

const expectedDeviation = 'write a distance such as 0.5';
const doorSchema = z
  .number({ error: expectedDeviation })
  .positive(expectedDeviation)
  .transform((deviation): FieldRule => ({ kind: 'swinging_door', deviation }));

const ruleSchema = z
  .strictObject({ deadband: deadbandSchema.optional(), swinging_door: doorSchema.optional() })
  .transform((raw, context): FieldRule => {
    const [rule, second] = [raw.deadband, raw.swinging_door].filter((one) => one !== undefined);
    if (rule && !second) return rule;
    context.addIssue({ code: 'custom', message: 'write one of deadband: 0.5 or swinging_door: 0.5' });
    return z.NEVER;
  });

export const reduceSchema = z
  .strictObject({
    heartbeat: durationMs({ minMs: 1_000, maxMs: 30 * 86_400_000 }).default(heartbeatDefaultMs),
    fields: z.record(z.string(), ruleSchema).default({}),
  })
  .transform(({ heartbeat, fields }): ReduceConfig => ({
    rules: new Map(Object.entries(fields).map(([field, rule]) => [columnNameOf(field), rule])),
    heartbeatMs: heartbeat,
  }));
