/**
 * The formats there are: how each is written in the configuration, and its decoder.
 */
import { z } from 'zod';
import { csvDecoder, type CsvOptions } from './csv.js';
import type { Decode } from './decoder.js';
import { jsonDecoder, type JsonOptions } from './json.js';
import { lineProtocolDecoder, type LineProtocolOptions } from './line-protocol.js';
import { valueDecoder, type ValueOptions } from './value.js';

export const formatNames = ['json', 'value', 'csv', 'line_protocol'] as const;
export type FormatName = (typeof formatNames)[number];

/** A name alone, or with the options of the format. */
export type FormatConfig =
  | FormatName
  | ({ readonly type: 'json' } & JsonOptions)
  | ({ readonly type: 'value' } & ValueOptions)
  | ({ readonly type: 'csv' } & CsvOptions)
  | ({ readonly type: 'line_protocol' } & LineProtocolOptions);

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

export function formatNameOf(format: FormatConfig): FormatName {
  return typeof format === 'string' ? format : format.type;
}

export function decoderOf(format: FormatConfig): Decode {
  const options: Exclude<FormatConfig, string> = typeof format === 'string' ? { type: format } : format;
  switch (options.type) {
    case 'json':
      return jsonDecoder(options);
    case 'value':
      return valueDecoder(options);
    case 'csv':
      return csvDecoder(options);
    case 'line_protocol':
      return lineProtocolDecoder(options);
  }
}
