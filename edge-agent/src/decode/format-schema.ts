/** How `format:` of a stream is written. */
import { z } from 'zod';
import { formatNames, type FormatConfig } from './format.js';

const expected = `write one of ${formatNames.join(', ')}, or one with options such as { type: csv, delimiter: ";" }`;
const name = z.string().min(1, 'write a name');
const precisions = ['s', 'ms', 'us', 'ns'] as const;

const optionsSchema = z.discriminatedUnion(
  'type',
  [
    z.strictObject({
      type: z.literal('json'),
      rows: name.optional(),
    }),
    z.strictObject({ type: z.literal('value'), field: name.optional() }),
    z.strictObject({
      type: z.literal('csv'),
      delimiter: z
        .string()
        .regex(/^[^"\r\n]$/, 'write one character that stands between cells, such as ";" or "\\t"')
        .optional(),
      columns: z
        .array(name, { error: 'list the names of the columns, such as [ts, temperature]' })
        .min(1, 'list at least one column, or leave `columns` out where a header line names them')
        .max(1_000, 'list at most 1000 columns')
        .refine((columns) => new Set(columns).size === columns.length, 'every column needs a name of its own')
        .optional(),
    }),
    z.strictObject({
      type: z.literal('line_protocol'),
      precision: z.enum(precisions, { error: `write one of ${precisions.join(', ')}` }).optional(),
    }),
  ],
  { error: expected },
);

export const formatSchema: z.ZodType<FormatConfig> = z.union(
  [z.enum(formatNames, { error: expected }), optionsSchema],
  { error: expected },
);
