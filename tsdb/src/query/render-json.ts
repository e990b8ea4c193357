/**
 * An answer as JSON, in pieces as its rows come:
 *
 *     {"query_id":"…","columns":[{"name":"time","type":"timestamp[us, UTC]"}],"rows":[["2026-01-01T00:00:00Z"]],
 *      "row_count":1,"truncated":false,"stats":{"elapsed_ms":12,"files":3,"table_versions":{"environment":812}}}
 *
 * Whoever consumes the pieces sees a failure as an exception and must then break the body off: what was sent so far is
 * no valid JSON.
 */
import { jsonEncoder, type JsonEncoder } from './json-values.js';
import type { AnswerStats, QueryAnswer, RowBatch } from './query-answer.js';
import { tableLabel } from './find-table.js';
import { typeName } from './type-names.js';

/** Pieces are about this long, whatever the length of rows: fewer writes, little memory. */
const pieceCharactersMin = 65_536;
/** Bound on a whole body: what is beyond it is cut off like what is beyond the bound on rows. */
const bodyCharactersMax = 256e6;

/** Closes the answer in the end, also when not all pieces are taken. */
export async function* renderJson(answer: QueryAnswer): AsyncGenerator<string> {
  try {
    yield* renderPieces(answer);
  } finally {
    await answer.close();
  }
}

async function* renderPieces(answer: QueryAnswer): AsyncGenerator<string> {
  const rows = new RowTexts(answer.columns.map(({ type }) => jsonEncoder(type)));
  let piece = headText(answer);
  let characterCount = 0;
  for await (const batch of answer.batches())
    for (const row of rows.of(batch)) {
      piece += row;
      if (piece.length < pieceCharactersMin) continue;
      yield piece;
      characterCount += piece.length;
      piece = '';
      if (characterCount > bodyCharactersMax) {
        yield tailText(rows.count, true, answer.stats);
        return;
      }
    }
  yield piece + tailText(rows.count, answer.isTruncated, answer.stats);
}

function headText({ queryId, columns }: QueryAnswer): string {
  const named = columns.map(({ name, type }) => ({ name, type: typeName(type) }));
  return `{"query_id":${JSON.stringify(queryId)},"columns":${JSON.stringify(named)},"rows":[`;
}

function tailText(rowCount: number, isTruncated: boolean, { elapsedMs, files, tables }: AnswerStats): string {
  const stats = {
    elapsed_ms: Math.round(elapsedMs * 1_000) / 1_000,
    files: files.length,
    table_versions: Object.fromEntries(tables.map((snapshot) => [tableLabel(snapshot), snapshot.version])),
  };
  return `],"row_count":${rowCount},"truncated":${isTruncated},"stats":${JSON.stringify(stats)}}\n`;
}

/** Rows as text, with the commas between them. */
class RowTexts {
  readonly #encoders: readonly JsonEncoder[];
  count = 0;

  constructor(encoders: readonly JsonEncoder[]) {
    this.#encoders = encoders;
  }

  *of({ chunk, rowCount }: RowBatch): Generator<string> {
    const vectors = this.#encoders.map((_, column) => chunk.getColumnVector(column));
    for (let row = 0; row < rowCount; row++) {
      let text = this.count === 0 ? '[' : ',[';
      for (const [column, encode] of this.#encoders.entries()) {
        text += (column === 0 ? '' : ',') + encode(vectors[column]?.getItem(row) ?? null);
      }
      this.count += 1;
      yield `${text}]`;
    }
  }
}
