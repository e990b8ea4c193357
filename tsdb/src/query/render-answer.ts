/**
 * The formats of answers that come as rows. Parquet is not among them: it cannot be read before its end is there, so it is
 * written by DuckDB and sent as a file (`exported-file.ts`).
 */
import { isFailure, messageOf } from '@varve/common/errors.js';
import type { Answer } from './query-answer.js';
import { renderArrow } from './render-arrow.js';
import { renderJson } from './render-json.js';
import { renderCsv, renderJsonLines, renderPretty } from './render-lines.js';
import type { RenderOptions } from './render-text.js';
import { defaultStyle } from './value-style.js';

const renderers = {
  json: renderJson,
  jsonl: renderJsonLines,
  csv: renderCsv,
  pretty: renderPretty,
  arrow: renderArrow,
} as const;

export type RowFormat = keyof typeof renderers;

export const defaultRenderOptions: RenderOptions = {
  style: defaultStyle,
  bytesMax: Number.POSITIVE_INFINITY,
  header: true,
};

/** As `renderPieces`. Closes the answer in the end, also when not all pieces are taken. */
export async function* renderAnswer(
  answer: Answer,
  format: RowFormat = 'json',
  options = defaultRenderOptions,
): AsyncGenerator<Uint8Array> {
  try {
    yield* renderPieces(answer, format, options);
  } finally {
    await answer.close();
  }
}

/** A failure is the last line of JSON lines, and thrown in any case: the body must be broken off. */
export async function* renderPieces(
  answer: Answer,
  format: RowFormat,
  options: RenderOptions,
): AsyncGenerator<Uint8Array> {
  try {
    yield* renderers[format](answer, options);
  } catch (error) {
    if (format === 'jsonl') yield Buffer.from(errorLine(error));
    throw error;
  }
}

function errorLine(error: unknown): string {
  const known = isFailure(error) ? { code: error.code, message: error.message } : undefined;
  return `${JSON.stringify({ error: known ?? { code: 'internal', message: messageOf(error) } })}\n`;
}
