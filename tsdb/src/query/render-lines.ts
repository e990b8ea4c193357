/**
 * An answer line by line: JSON lines, CSV (RFC 4180), or a table for eyes.
 *
 * | format | a row                                                                                       |
 * |--------|---------------------------------------------------------------------------------------------|
 * | jsonl  | an object; of columns with one name the last one wins, as in JSON                           |
 * | csv    | CRLF at the end; nothing where there is null, `""` for the empty text; lists and objects as JSON |
 * | pretty | as wide as the first rows need; longer values push what follows to the right                |
 */
import { CellWriter, type CellLook } from './cell-writers.js';
import type { Answer } from './query-answer.js';
import { renderRows, writeCells, type RenderOptions } from './render-text.js';
import { TextPage, TextStamp } from './text-page.js';

export async function* renderJsonLines(
  answer: Answer,
  { style, bytesMax }: RenderOptions,
): AsyncGenerator<Uint8Array> {
  const columns = answer.columns.map(({ type }) => new CellWriter(type, style));
  const labels = answer.columns.map(
    ({ name }, column) => new TextStamp(`${column === 0 ? '{' : ','}${JSON.stringify(name)}:`),
  );
  const page = new TextPage();
  yield* renderRows(answer, bytesMax, columns, page, (row) => {
    for (const [column, label] of labels.entries()) {
      page.putStamp(label);
      columns[column]?.put(row, page);
    }
    page.put('}\n');
  });
  yield page.take();
}

export async function* renderCsv(
  answer: Answer,
  { style, bytesMax, header }: RenderOptions,
): AsyncGenerator<Uint8Array> {
  const columns = answer.columns.map(({ type }) => new CellWriter(type, style, csvLook));
  const page = new TextPage();
  if (header) page.put(`${answer.columns.map(({ name }) => csvText(name)).join(',')}\r\n`);
  yield* renderRows(answer, bytesMax, columns, page, (row) => {
    const start = page.length;
    writeCells(columns, row, page);
    // A lone null would be an empty line, which readers pass over.
    if (columns.length === 1 && page.length === start) page.put('""');
    page.put('\r\n');
  });
  yield page.take();
}

const csvLook: CellLook = { nullText: '', quote: '', textOf: csvOfJson };

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
  answer: Answer,
  { style, bytesMax }: RenderOptions,
): AsyncGenerator<Uint8Array> {
  const columns = answer.columns.map(({ type }) => new CellWriter(type, style));
  const names = answer.columns.map(({ name }) => name);
  const [page, cell] = [new TextPage(), new TextPage()];
  const measured: string[][] = [];
  let widths: readonly number[] | undefined;
  const flush = () => {
    const all = (widths = widthsOf(names, measured));
    const line = all.map((width) => '-'.repeat(width));
    for (const row of [names, line, ...measured]) page.put(prettyRow(row, all));
  };
  yield* renderRows(answer, bytesMax, columns, page, (row) => {
    const texts = columns.map((cells) => {
      cells.put(row, cell);
      return prettyCell(cell.takeText());
    });
    if (widths) page.put(prettyRow(texts, widths));
    else if (measured.push(texts) === measuredRowsMax) flush();
  });
  if (!widths) flush();
  const count = answer.rowCount === 1 ? '1 row' : `${answer.rowCount} rows`;
  page.put(answer.isTruncated ? `(${count}, and more)\n` : `(${count})\n`);
  yield page.take();
}

function widthsOf(names: readonly string[], rows: readonly (readonly string[])[]): number[] {
  return names.map((name, column) =>
    Math.min(
      widthMax,
      Math.max(...[name, ...rows.map((row) => row[column] ?? '')].map(({ length }) => length)),
    ),
  );
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
