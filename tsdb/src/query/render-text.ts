/**
 * An answer as text, row by row: what JSON, JSON lines, CSV and tables for eyes have in common.
 *
 * Pieces are about `pieceCharactersMin` long, whatever the length of rows. An answer that grows past `bytesMax` is cut off
 * between two rows, and says so (`QueryAnswer.isTruncated`). Whoever consumes the pieces sees a failure as an exception.
 */
import type { CellText, CellTexts } from './cell-texts.js';
import type { QueryAnswer } from './query-answer.js';
import type { ValueStyle } from './value-style.js';

export interface RenderOptions {
  readonly style: ValueStyle;
  /** Of the whole body; infinite where the format has no bound. */
  readonly bytesMax: number;
  /** CSV only: whether the first line names the columns. */
  readonly header: boolean;
}

/** Fewer writes, little memory. */
const pieceCharactersMin = 65_536;

/** @param rowText of the row at `index` of all, which is `row` of its batch; a cell's text is that of its column */
export async function* renderRows(
  answer: QueryAnswer,
  bytesMax: number,
  columns: readonly CellTexts[],
  rowText: (cells: readonly CellText[], row: number, index: number) => string,
): AsyncGenerator<string> {
  let piece = '';
  let sentBytes = 0;
  let index = 0;
  for await (const { chunk, rowCount } of answer.batches()) {
    const cells = columns.map((textsOf, column) => textsOf(chunk.getColumnVector(column)));
    for (let row = 0; row < rowCount; row++) {
      piece += rowText(cells, row, index++);
      if (piece.length < pieceCharactersMin) continue;
      sentBytes += Buffer.byteLength(piece);
      yield piece;
      piece = '';
      if (sentBytes >= bytesMax) {
        answer.cutOff();
        return;
      }
    }
  }
  if (piece !== '') yield piece;
}

/** The cells of a row, with something between them. */
export function joinCells(cells: readonly CellText[], row: number, between: string): string {
  let text = cells[0]?.(row) ?? '';
  for (let column = 1; column < cells.length; column++) text += between + (cells[column]?.(row) ?? '');
  return text;
}
