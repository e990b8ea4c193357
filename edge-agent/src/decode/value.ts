/**
 * Format `value`: the payload is one bare number, boolean or text, `21.5`. It makes one row of one field.
 */
import { readText, Refusal, type Decode } from './decoder.js';

export interface ValueOptions {
  /** Name of the field; absent: `value`. */
  readonly field?: string | undefined;
}

export function valueDecoder({ field = 'value' }: ValueOptions = {}): Decode {
  return (payload, rows) => {
    const text = readText(payload)?.trim();
    if (text === undefined) return new Refusal('not_value', 'the payload is not UTF-8');
    if (text === '') return new Refusal('not_value', 'the payload is empty');
    rows.beginRow();
    rows.add(field, 'text', text);
    rows.endRow();
    return undefined;
  };
}
