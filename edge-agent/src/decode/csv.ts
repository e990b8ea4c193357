/**
 * Format `csv` (RFC 4180): a line is a row. The first line names the columns, unless the stream does. A cell is text until
 * somebody knows better: what it is a number of, the mapper recognises. An empty cell is no value.
 */
import { createRequire } from 'node:module';
import { messageOf } from '@varve/common/errors.js';
import { readText, Refusal, type Decode } from './decoder.js';
import type { DecodedRows } from './decoded-rows.js';

export interface CsvOptions {
  /** Absent: `,`. */
  readonly delimiter?: string | undefined;
  /** Names of the columns, where no header line says them. */
  readonly columns?: readonly string[] | undefined;
}

const require = createRequire(import.meta.url);
/** Loaded with the first payload that has quotes, and without waiting. */
const loadParser = () => require('csv-parse/sync') as typeof import('csv-parse/sync');

export function csvDecoder({ delimiter = ',', columns }: CsvOptions = {}): Decode {
  const options = csvOptionsOf(delimiter);
  return (payload, rows) => {
    const text = readText(payload);
    if (text === undefined) return new Refusal('not_csv', 'not CSV: the payload is not UTF-8');
    const lines = text.includes('"') ? parseLines(text, options) : splitLines(text, delimiter);
    if (lines instanceof Refusal) return lines;
    const names = columns ?? nameColumns(lines[0] ?? []);
    if (lines.length === (columns ? 0 : 1) || lines.length === 0)
      return new Refusal('no_rows', lines.length === 0 ? 'the payload is empty' : 'only a header line');
    return addLines(lines, columns ? 0 : 1, names, rows);
  };
}

interface CsvParseOptions {
  readonly delimiter: string;
  readonly skip_empty_lines: boolean;
  readonly record_delimiter: string[];
}

export function csvOptionsOf(delimiter: string): CsvParseOptions {
  return { delimiter, skip_empty_lines: true, record_delimiter: ['\r\n', '\n', '\r'] };
}

/** Without quotes that is all there is to it, at a tenth of what setting up a parser for each message costs. */
export function splitLines(text: string, delimiter: string): string[][] | Refusal {
  const lines = text.split(/\r\n|\n|\r/).flatMap((line) => (line === '' ? [] : [line.split(delimiter)]));
  const cellCount = lines[0]?.length;
  const odd = lines.findIndex((cells) => cells.length !== cellCount);
  if (odd < 0) return lines;
  const found = `${lines[odd]?.length ?? 0} cells, and ${cellCount ?? 0} in the first`;
  return new Refusal('not_csv', `not CSV: there are ${found}, on line ${odd + 1}`);
}

export function parseLines(text: string, options: CsvParseOptions): string[][] | Refusal {
  try {
    return loadParser().parse(text, options);
  } catch (error) {
    // Whatever it is: bytes from outside stop nothing.
    return new Refusal('not_csv', `not CSV: ${messageOf(error)}`);
  }
}

/** A trailing delimiter makes a column without a name. */
function nameColumns(header: readonly string[]): string[] {
  return header.map((name, index) => (name.trim() === '' ? `column_${index + 1}` : name.trim()));
}

function addLines(
  lines: readonly (readonly string[])[],
  first: number,
  names: readonly string[],
  rows: DecodedRows,
): Refusal | undefined {
  for (let index = first; index < lines.length; index++) {
    const cells = lines[index] ?? [];
    if (cells.length !== names.length)
      return new Refusal('not_csv', `line ${index + 1} has ${cells.length} cells, not ${names.length}`);
    rows.beginRow();
    for (let column = 0; column < cells.length; column++) {
      const cell = (cells[column] ?? '').trim();
      if (cell !== '') rows.add(names[column] ?? '', 'text', cell);
    }
    rows.endRow();
  }
  return undefined;
}
