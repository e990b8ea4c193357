/**
 * An answer as text, row by row: what JSON, JSON lines, CSV and tables for eyes have in common.
 *
 * Pieces are about `pieceBytesMin` long, whatever the length of rows. An answer that grows past `bytesMax` is cut off
 * between two rows, and says so (`Answer.isTruncated`). Whoever consumes the pieces sees a failure as an exception.
 */
import type { CellWriter } from './cell-writers.js';
import type { Answer } from './query-answer.js';
import type { TextPage } from './text-page.js';
import type { ValueStyle } from './value-style.js';

export interface RenderOptions {
  readonly style: ValueStyle;
  /** Of the whole body; infinite where the format has no bound. */
  readonly bytesMax: number;
  /** CSV only: whether the first line names the columns. */
  readonly header: boolean;
}

/** Fewer writes, little memory. */
const pieceBytesMin = 65_536;

/**
 * What is left on the page in the end goes with what comes behind the rows.
 * @param page with what comes before the rows
 * @param writeRow writes the row at `index` of all, which is `row` of its batch
 */
export async function* renderRows(
  answer: Answer,
  bytesMax: number,
  columns: readonly CellWriter[],
  page: TextPage,
  writeRow: (row: number, index: number) => void,
): AsyncGenerator<Uint8Array> {
  let sentBytes = 0;
  let index = 0;
  for await (const { rowCount, vectorAt } of answer.batches()) {
    for (const [column, cells] of columns.entries()) cells.open(vectorAt(column), rowCount);
    for (let row = 0; row < rowCount;) {
      const next = fillPage(page, row, rowCount, (at) => writeRow(at, index + at - row));
      index += next - row;
      row = next;
      if (page.length < pieceBytesMin) continue;
      const piece = page.take();
      sentBytes += piece.length;
      yield piece;
      if (sentBytes >= bytesMax) {
        answer.cutOff();
        return;
      }
    }
  }
}

/** Outside of the generator, whose loops are not compiled as well. @returns the row after the last one written */
function fillPage(page: TextPage, start: number, end: number, writeRow: (row: number) => void): number {
  let row = start;
  while (row < end && page.length < pieceBytesMin) writeRow(row++);
  return row;
}

const comma = 44;

/** The cells of a row, with commas between them. */
export function writeCells(columns: readonly CellWriter[], row: number, page: TextPage): void {
  for (let column = 0; column < columns.length; column++) {
    if (column > 0) page.putCharacter(comma);
    columns[column]?.put(row, page);
  }
}
