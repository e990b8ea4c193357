/**
 * In which format an answer is sent: what `format=` says, or else what the client accepts, or else JSON. Pure.
 */
import { Failure } from '@varve/common/errors.js';
import type { RowFormat } from '../query/render-answer.js';

export type AnswerFormat = RowFormat | 'parquet';

export const mediaTypes: Readonly<Record<AnswerFormat, string>> = {
  json: 'application/json; charset=utf-8',
  jsonl: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  pretty: 'text/plain; charset=utf-8',
  arrow: 'application/vnd.apache.arrow.stream',
  parquet: 'application/vnd.apache.parquet',
};

export const formatNames = ['json', 'jsonl', 'ndjson', 'csv', 'arrow', 'parquet', 'pretty'] as const;

export function formatOfName(name: (typeof formatNames)[number]): AnswerFormat {
  return name === 'ndjson' ? 'jsonl' : name;
}

const formatsByType: Readonly<Record<string, AnswerFormat>> = {
  '*/*': 'json',
  'application/*': 'json',
  'application/json': 'json',
  'application/x-ndjson': 'jsonl',
  'application/ndjson': 'jsonl',
  'application/jsonl': 'jsonl',
  'text/csv': 'csv',
  'text/plain': 'pretty',
  'text/*': 'pretty',
  'application/vnd.apache.arrow.stream': 'arrow',
  'application/vnd.apache.parquet': 'parquet',
  'application/x-parquet': 'parquet',
};

/** @throws Failure `format_unsupported` where nothing that is accepted can be sent */
export function acceptedFormat(accept: string | undefined): AnswerFormat {
  if (accept === undefined || accept.trim() === '') return 'json';
  const wanted = accept
    .split(',')
    .map((part) =>
      part
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/),
    )
    .map(([type = '', ...parameters]) => ({ type, quality: qualityOf(parameters) }))
    .filter(({ quality }) => quality > 0)
    .sort((left, right) => right.quality - left.quality);
  for (const { type } of wanted) {
    const format = formatsByType[type];
    if (format !== undefined) return format;
  }
  throw new Failure('format_unsupported', `no answer can be written as ${accept.slice(0, 200)}`, {
    hint: `accept one of ${Object.values(mediaTypes).join(', ')}, or say format=`,
  });
}

function qualityOf(parameters: readonly string[]): number {
  const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  return quality === undefined ? 1 : Number(quality) || 0;
}
