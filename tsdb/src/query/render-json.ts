/**
 * An answer as JSON, in pieces as its rows come:
 *
 *     {"query_id":"…","columns":[{"name":"time","type":"timestamp[us, UTC]"}],"rows":[["2026-01-01T00:00:00Z"]],
 *      "row_count":1,"truncated":false,"stats":{"elapsed_ms":12,"files":3,"bytes":81234,"table_versions":{"environment":812}}}
 *
 * After a failure the body must be broken off: what was sent so far is no valid JSON.
 */
import { jsonCells } from './cell-texts.js';
import type { AnswerStats, QueryAnswer } from './query-answer.js';
import { joinCells, renderRows, type RenderOptions } from './render-text.js';
import { tableLabel } from './find-table.js';
import { typeName } from './type-names.js';

export async function* renderJson(
  answer: QueryAnswer,
  { style, bytesMax }: RenderOptions,
): AsyncGenerator<string> {
  const columns = answer.columns.map(({ type }) => jsonCells(type, style));
  let count = 0;
  yield headText(answer);
  yield* renderRows(answer, bytesMax, columns, (cells, row, index) => {
    count = index + 1;
    return `${index === 0 ? '[' : ',['}${joinCells(cells, row, ',')}]`;
  });
  yield tailText(count, answer.isTruncated, answer.stats);
}

function headText({ queryId, columns }: QueryAnswer): string {
  const named = columns.map(({ name, type }) => ({ name, type: typeName(type) }));
  return `{"query_id":${JSON.stringify(queryId)},"columns":${JSON.stringify(named)},"rows":[`;
}

function tailText(
  rowCount: number,
  isTruncated: boolean,
  { elapsedMs, files, bytes, tables }: AnswerStats,
): string {
  const stats = {
    elapsed_ms: Math.round(elapsedMs * 1_000) / 1_000,
    files: files.length,
    bytes,
    table_versions: Object.fromEntries(tables.map((snapshot) => [tableLabel(snapshot), snapshot.version])),
  };
  return `],"row_count":${rowCount},"truncated":${isTruncated},"stats":${JSON.stringify(stats)}}\n`;
}
