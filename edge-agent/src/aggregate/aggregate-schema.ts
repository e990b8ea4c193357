/** How `aggregate:` and `raw:` of a stream are written. */
import { z } from 'zod';
import { durationMs, parseDurationMs } from '@varve/common/config/units.js';
import { quantilesMax, sortQuantiles } from '@varve/common/contract/aggregate.js';
import { isIdentifier } from '@varve/common/contract/names.js';
import { columnNameOf } from '../decode/stream-config.js';
import type { AggregateConfig, RawChoice } from './aggregate-config.js';

/** Long enough for a device that buffers its readings for some seconds. */
const latenessDefaultMs = 10_000;

const everySchema = z.string().transform((text, context) => {
  const everyMs = parseDurationMs(text);
  if (everyMs !== undefined && everyMs >= 1_000 && everyMs <= 7 * 86_400_000 && Number.isInteger(everyMs))
    return { everyMs, text: text.replaceAll(' ', '') };
  context.addIssue({
    code: 'custom',
    message: `"${text}" is no width of windows: write one such as 10s, 1m or 1h`,
  });
  return z.NEVER;
});

const expectedQuantiles = 'list numbers between 0 and 1, such as [0.5, 0.95, 0.99]';
const quantilesSchema = z
  .array(z.number({ error: expectedQuantiles }).gt(0, expectedQuantiles).lt(1, expectedQuantiles), {
    error: expectedQuantiles,
  })
  .min(1, 'list at least one, such as [0.5], or leave `quantiles` out')
  .max(quantilesMax, `list at most ${quantilesMax}`);

const aggregateSchema = z.strictObject({
  every: everySchema,
  table: z
    .string()
    .refine(isIdentifier, 'is not a table name: use a-z, 0-9 and _, not starting with a digit')
    .optional(),
  lateness: durationMs({ minMs: 0, maxMs: 86_400_000 }).default(latenessDefaultMs),
  quantiles: quantilesSchema.optional(),
  quantile_fields: z
    .array(z.string({ error: 'write the name of a field' }), {
      error: 'list fields, such as [temperature]; absent: all that are numbers',
    })
    .min(1, 'list at least one field, or leave `quantile_fields` out')
    .max(1_000, 'list at most 1000')
    .optional(),
});

export const aggregatesSchema = z
  .array(aggregateSchema, { error: 'list the windows, such as [{ every: 10s }, { every: 1m }]' })
  .max(10, 'list at most 10 widths')
  .default([]);

const expectedRaw = 'write ship, drop, or keep with a time, such as keep 7d';
const keepMsRange = { min: 60_000, max: 366 * 86_400_000 };

export const rawSchema = z
  .string({ error: expectedRaw })
  .transform((text, context): RawChoice => {
    if (text === 'ship' || text === 'drop') return text;
    const [, duration = ''] = /^keep +(.+)$/.exec(text) ?? [];
    const keepMs = parseDurationMs(duration);
    if (keepMs !== undefined && keepMs >= keepMsRange.min && keepMs <= keepMsRange.max) return { keepMs };
    const message = keepMs === undefined ? expectedRaw : 'keep between 1m and 366d';
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  })
  .default('ship');

/** `environment` at 10s writes table `environment_10s`, unless it is told otherwise. */
export function readAggregates(
  stream: string,
  raw: readonly z.infer<typeof aggregateSchema>[],
): AggregateConfig[] {
  return raw.map(({ every, table, lateness, quantiles, quantile_fields }) => ({
    table: table ?? `${stream}_${every.text}`,
    everyMs: every.everyMs,
    latenessMs: lateness,
    ...(quantiles && {
      quantiles: {
        shown: sortQuantiles(quantiles),
        fields: quantile_fields && new Set(quantile_fields.map(columnNameOf)),
      },
    }),
  }));
}
