/**
 * An answer as JSON, in pieces as its rows come:
 *
 *     {"query_id":"…","columns":[{"name":"time","type":"timestamp[us, UTC]"}],"rows":[["2026-01-01T00:00:00Z"]],
 *      "row_count":1,"truncated":false,"stats":{"elapsed_ms":12,"files":3,"bytes":81234,"table_versions":{"environment":812}}}
 *
 * After a failure the body must be broken off: what was sent so far is no valid JSON.
 */
import { CellWriter } from './cell-writers.js';
import type { AnswerStats, Answer } from './query-answer.js';
import { renderRows, writeCells, type RenderOptions } from './render-text.js';
import { tableLabel } from './find-table.js';
import { TextPage, TextStamp } from './text-page.js';
import { typeName } from './type-names.js';

const betweenRows = new TextStamp('],[');

export async function* renderJson(
  answer: Answer,
  { style, bytesMax }: RenderOptions,
): AsyncGenerator<Uint8Array> {
  const columns = answer.columns.map(({ type }) => new CellWriter(type, style));
  const page = new TextPage();
  let count = 0;
  page.put(headText(answer));
  yield* renderRows(answer, bytesMax, columns, page, (row, index) => {
    count = index + 1;
    if (index === 0) page.put('[');
    else page.putStamp(betweenRows);
    writeCells(columns, row, page);
  });
  if (count > 0) page.put(']');
  page.put(tailText(count, answer.isTruncated, answer.stats));
  yield page.take();
}

function headText({ queryId, columns }: Answer): string {
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
