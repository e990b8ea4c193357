/**
 * An answer as text, row by row: what JSON, JSON lines, CSV and tables for eyes have in common.
 *
 * Pieces are about `pieceCharactersMin` long, whatever the length of rows. An answer that grows past `bytesMax` is cut off
 * between two rows, and says so (`QueryAnswer.isTruncated`). Whoever consumes the pieces sees a failure as an exception.
 */
import type { DuckDBValue } from '@duckdb/node-api';
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

/** @param rowText of the row at `index`; `valueAt` reads its columns */
export async function* renderRows(
  answer: QueryAnswer,
  bytesMax: number,
  rowText: (valueAt: (column: number) => DuckDBValue, index: number) => string,
): AsyncGenerator<string> {
  let piece = '';
  let sentBytes = 0;
  let index = 0;
  for await (const { chunk, rowCount } of answer.batches()) {
    const vectors = answer.columns.map((_, column) => chunk.getColumnVector(column));
    for (let row = 0; row < rowCount; row++) {
      piece += rowText((column) => vectors[column]?.getItem(row) ?? null, index++);
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
