/**
 * What a client may ask of `/api/v1/query`, in a JSON body or in a query string.
 *
 * | name                    | meaning                                                                                 |
 * |-------------------------|-----------------------------------------------------------------------------------------|
 * | `sql` (or `q`, `query`) | one SELECT                                                                              |
 * | `params`                | array for `$1`, `$2`, …, object for `$name`; as JSON text in a query string             |
 * | `db`                    | where tables are that stand without a database; default `main`                          |
 * | `format`                | `json`, `jsonl` (`ndjson`), `csv`, `arrow`, `parquet`, `pretty`; else what is accepted  |
 * | `max_rows`              | json, pretty: default 10,000, at most 1,000,000; others: no limit. More is cut off      |
 * | `max_bytes`             | of the body, before it is compressed; more is cut off, of Parquet refused               |
 * | `timeout`               | such as `10s`; default 60s, at most 1h                                                  |
 * | `dry_run`               | what it would read, instead of the answer                                               |
 * | `explain`               | `plan`, or `analyze`: how DuckDB goes about it, instead of the answer                   |
 * | `time_format`           | `rfc3339`, or a number since 1970: `s`, `ms`, `us`, `ns`                                |
 * | `tz`                    | zone of times in RFC 3339, such as `Europe/Berlin`; default UTC                         |
 * | `int64`                 | `auto` (text beyond 2^53), `string`, `number`                                           |
 * | `header`                | of CSV: whether the first line names the columns; default true                          |
 *
 * Anything else is refused by name: a misspelt option that is passed over would be an answer to another question.
 */
import { z } from 'zod';
import { durationMs, sizeBytes } from '@varve/common/config/units.js';
import { Failure } from '@varve/common/errors.js';
import { timeoutMsMax } from '../query/query-engine.js';
import { defaultRowsMax, type QueryRequest } from '../query/query-plan.js';
import type { RenderOptions } from '../query/render-text.js';
import { zoneFormat } from '../query/value-style.js';
import { formatNames, formatOfName, type AnswerFormat } from './answer-format.js';

/** What is asked, and how the answer shall look. */
export interface AskedQuery {
  readonly query: QueryRequest;
  readonly format: AnswerFormat;
  readonly render: RenderOptions;
  readonly instead: 'dry_run' | 'plan' | 'analyze' | undefined;
}

/** More than this as one JSON document is an export: ask for another format. */
export const documentRowsMax = 1_000_000;
const documentBytesMax = 256e6;

const sqlNames = ['sql', 'q', 'query'] as const;

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const value = z.union([scalar, z.array(scalar)], {
  error: 'values are strings, numbers, booleans, null, or arrays of these',
});
const params = z.union([z.array(value), z.record(z.string(), value)], {
  error:
    'must be an array for $1, $2, …, or an object for $name, of strings, numbers, booleans, null or arrays of these',
});
const maxRowsExpected = 'must be a whole number from 1';
const sql = z.string({ error: 'must be text' }).optional();
const oneOf = <const Names extends readonly [string, ...string[]]>(names: Names) =>
  z.enum(names, { error: `must be one of ${names.join(', ')}` }).optional();
const flag = z.boolean({ error: 'must be true or false' }).optional();
const sizeExpected = 'must be a size such as 100MB, or a number of bytes';

/** Of a JSON body; a query string has the same, as text. */
export const querySchema = z.strictObject({
  sql,
  q: sql,
  query: sql,
  params: params.optional(),
  db: z.string({ error: 'must be text' }).optional(),
  format: oneOf(formatNames),
  max_rows: z.int(maxRowsExpected).min(1, maxRowsExpected).optional(),
  max_bytes: z.union([z.int().min(1), sizeBytes({ minBytes: 1 })], { error: sizeExpected }).optional(),
  timeout: durationMs({ minMs: 1, maxMs: timeoutMsMax }).optional(),
  as_of: z
    .union([z.int().min(0), z.string()], { error: 'must be a version, or a time in RFC 3339' })
    .optional(),
  dry_run: flag,
  explain: oneOf(['plan', 'analyze']),
  time_format: oneOf(['rfc3339', 's', 'ms', 'us', 'ns']),
  tz: z
    .string()
    .refine((name) => zoneFormat(name) !== undefined, {
      error: 'is no time zone: use names such as Europe/Berlin',
    })
    .optional(),
  int64: oneOf(['auto', 'string', 'number']),
  header: flag,
});
const parameterNames = Object.keys(querySchema.shape).filter((name) => name !== 'q' && name !== 'query');

/**
 * @param accepted the format where none is named
 * @throws Failure `bad_request` where it is no object, `bad_param` naming every parameter that is wrong
 */
export function readQueryBody(body: unknown, accepted: () => AnswerFormat = () => 'json'): AskedQuery {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Failure('bad_request', 'the body must be a JSON object', { hint: bodyHint });
  return readQuery(body, accepted);
}

/** @param query as parsed from the URL: text, or an array of texts where a name is repeated */
export function readQueryString(
  query: Readonly<Record<string, unknown>>,
  accepted: () => AnswerFormat = () => 'json',
): AskedQuery {
  const raw: Record<string, unknown> = { ...query };
  if (typeof raw['params'] === 'string') raw['params'] = parseJson(raw['params']);
  for (const name of ['max_rows', 'max_bytes', 'as_of'])
    if (typeof raw[name] === 'string' && /^\d+$/.test(raw[name])) raw[name] = Number(raw[name]);
  for (const name of ['dry_run', 'header'])
    if (raw[name] === 'true' || raw[name] === 'false') raw[name] = raw[name] === 'true';
  return readQuery(raw, accepted);
}

const bodyHint = `such as {"sql": "select * from environment where device = $1", "params": ["dev-1"]}`;

function readQuery(raw: object, accepted: () => AnswerFormat): AskedQuery {
  const result = querySchema.safeParse(raw);
  if (!result.success) throw badParams(result.error.issues);
  const given = result.data;
  const format = given.format ? formatOfName(given.format) : accepted();
  const isDocument = format === 'json' || format === 'pretty';
  if (isDocument && (given.max_rows ?? 0) > documentRowsMax)
    throw new Failure('bad_param', `max_rows: must be at most ${documentRowsMax} in ${format}`, {
      hint: 'format=csv, jsonl, arrow and parquet have no limit',
      facts: { parameters: ['max_rows'] },
    });
  return {
    query: {
      sql: onlySql(given),
      rowsMax: given.max_rows ?? (isDocument ? defaultRowsMax : Number.POSITIVE_INFINITY),
      ...(given.params && { params: given.params }),
      ...(given.db !== undefined && { database: given.db.toLowerCase() }),
      ...(given.timeout !== undefined && { timeoutMs: given.timeout }),
      ...(given.as_of !== undefined && { asOf: readAsOf(given.as_of) }),
    },
    format,
    render: {
      style: {
        timeFormat: given.time_format ?? 'rfc3339',
        timeZone: given.tz ?? 'UTC',
        int64: given.int64 ?? 'auto',
      },
      bytesMax: given.max_bytes ?? (isDocument ? documentBytesMax : Number.POSITIVE_INFINITY),
      header: given.header ?? true,
    },
    instead: given.dry_run ? 'dry_run' : given.explain,
  };
}

/** Of a query string, for those who must know it first; undefined where it is not one text. @throws Failure `bad_param` */
export function asOfIn(query: Readonly<Record<string, unknown>>): QueryRequest['asOf'] {
  const given = query['as_of'];
  return typeof given === 'string' ? readAsOf(/^\d+$/.test(given) ? Number(given) : given) : undefined;
}

function readAsOf(given: number | string): NonNullable<QueryRequest['asOf']> {
  if (typeof given === 'number') return { version: given };
  const timeMs = /^\d{4}-\d\d-\d\d/.test(given) ? Date.parse(given) : Number.NaN;
  if (Number.isNaN(timeMs))
    throw new Failure('bad_param', 'as_of: must be a version, or a time in RFC 3339', {
      hint: 'such as 812, or 2026-01-01T00:00:00Z',
      facts: { parameters: ['as_of'] },
    });
  return { timeMs };
}

function onlySql(given: Readonly<Partial<Record<(typeof sqlNames)[number], string | undefined>>>): string {
  const [text, ...others] = sqlNames.map((name) => given[name]).filter((text) => text !== undefined);
  if (text === undefined) throw new Failure('bad_param', 'sql: is missing', { hint: bodyHint });
  if (others.length > 0)
    throw new Failure('bad_param', `sql: is there ${others.length + 1} times`, {
      hint: 'send one of sql, q, query',
    });
  return text;
}

function badParams(issues: readonly z.core.$ZodIssue[]): Failure {
  const problems = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ name: key, message: 'is not a parameter' }))
      : [{ name: String(issue.path[0]), message: issue.message }],
  );
  return new Failure('bad_param', problems.map(({ name, message }) => `${name}: ${message}`).join('; '), {
    hint: `there are ${parameterNames.join(', ')}`,
    facts: { parameters: problems.map(({ name }) => name) },
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The schema then says what is expected.
    return text;
  }
}
