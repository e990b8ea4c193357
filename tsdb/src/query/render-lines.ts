/**
 * An answer line by line: JSON lines, CSV (RFC 4180), or a table for eyes.
 *
 * | format | a row                                                                                       |
 * |--------|---------------------------------------------------------------------------------------------|
 * | jsonl  | an object; of columns with one name the last one wins, as in JSON                           |
 * | csv    | CRLF at the end; nothing where there is null, `""` for the empty text; lists and objects as JSON |
 * | pretty | as wide as the first rows need; longer values push what follows to the right                |
 */
import { DuckDBTypeId } from '@duckdb/node-api';
import { jsonCells, textCells, type CellTexts } from './cell-texts.js';
import type { AnswerColumn, QueryAnswer } from './query-answer.js';
import { joinCells, renderRows, type RenderOptions } from './render-text.js';
import type { ValueStyle } from './value-style.js';

export async function* renderJsonLines(
  answer: QueryAnswer,
  { style, bytesMax }: RenderOptions,
): AsyncGenerator<string> {
  const columns = answer.columns.map(({ type }) => jsonCells(type, style));
  const labels = answer.columns.map(
    ({ name }, column) => `${column === 0 ? '{' : ','}${JSON.stringify(name)}:`,
  );
  yield* renderRows(answer, bytesMax, columns, (cells, row) => {
    let text = '';
    for (let column = 0; column < cells.length; column++)
      text += (labels[column] ?? '') + (cells[column]?.(row) ?? '');
    return `${text}}\n`;
  });
}

export async function* renderCsv(
  answer: QueryAnswer,
  { style, bytesMax, header }: RenderOptions,
): AsyncGenerator<string> {
  const columns = answer.columns.map((column) => csvCells(column, style));
  if (header) yield `${answer.columns.map(({ name }) => csvText(name)).join(',')}\r\n`;
  yield* renderRows(answer, bytesMax, columns, (cells, row) => {
    const text = joinCells(cells, row, ',');
    // A lone null would be an empty line, which readers pass over.
    return cells.length === 1 && text === '' ? '""\r\n' : `${text}\r\n`;
  });
}

function csvCells({ type }: AnswerColumn, style: ValueStyle): CellTexts {
  if (type.typeId === DuckDBTypeId.VARCHAR) return textCells('', (value) => csvText(String(value)));
  const jsonTexts = jsonCells(type, style);
  return (vector) => {
    const jsonText = jsonTexts(vector);
    return (row) => csvOfJson(jsonText(row));
  };
}

function csvOfJson(text: string): string {
  if (text === 'null') return '';
  const first = text.charCodeAt(0);
  // Numbers, words; then texts and timestamps; then lists and objects.
  if (first === 34) return csvText(text.includes('\\') ? String(JSON.parse(text)) : text.slice(1, -1));
  return first === 91 || first === 123 ? csvText(text) : text;
}

function csvText(text: string): string {
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows that are looked at for the widths of columns. */
const measuredRowsMax = 200;
const widthMax = 60;

export async function* renderPretty(
  answer: QueryAnswer,
  { style, bytesMax }: RenderOptions,
): AsyncGenerator<string> {
  const columns = answer.columns.map(({ type }) => jsonCells(type, style));
  const names = answer.columns.map(({ name }) => name);
  const measured: string[][] = [];
  let widths: number[] | undefined;
  const flush = (): string => {
    widths = names.map((name, column) =>
      Math.min(
        widthMax,
        Math.max(...[name, ...measured.map((row) => row[column] ?? '')].map(({ length }) => length)),
      ),
    );
    const line = widths.map((width) => '-'.repeat(width));
    return [names, line, ...measured].map((row) => prettyRow(row, widths ?? [])).join('');
  };
  yield* renderRows(answer, bytesMax, columns, (cells, row) => {
    const texts = cells.map((textOf) => prettyCell(textOf(row)));
    if (widths) return prettyRow(texts, widths);
    measured.push(texts);
    return measured.length === measuredRowsMax ? flush() : '';
  });
  if (!widths) yield flush();
  yield answer.isTruncated ? `(${answer.rowCount} rows, and more)\n` : `(${answer.rowCount} rows)\n`;
}

/** One line each, whatever is in it. */
function prettyCell(json: string): string {
  if (json === 'null') return '';
  return json.startsWith('"') ? json.slice(1, -1).replaceAll('\\"', '"') : json;
}

function prettyRow(cells: readonly string[], widths: readonly number[]): string {
  return `${cells
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd()}\n`;
}
