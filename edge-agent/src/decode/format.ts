/**
 * The formats there are, and the decoder of each.
 */
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
