/**
 * What a client may ask of `/api/v1/query`, in a JSON body or in a query string.
 *
 * | name                    | meaning                                                                             |
 * |-------------------------|-------------------------------------------------------------------------------------|
 * | `sql` (or `q`, `query`) | one SELECT                                                                          |
 * | `params`                | array for `$1`, `$2`, …, object for `$name`; as JSON text in a query string         |
 * | `max_rows`              | default 10,000, at most 1,000,000; rows beyond are cut off with `truncated: true`   |
 * | `timeout`               | such as `10s`; default 60s, at most 10m                                             |
 * | `format`                | `json`                                                                              |
 *
 * Anything else is refused by name: a misspelt option that is passed over would be an answer to another question.
 */
import { z } from 'zod';
import { durationMs } from '@varve/common/config/units.js';
import { Failure } from '@varve/common/errors.js';
import { rowsMaxMax, timeoutMsMax, type QueryRequest } from '../query/query-engine.js';

const sqlNames = ['sql', 'q', 'query'] as const;
const parameterNames = ['sql', 'params', 'max_rows', 'timeout', 'format'];

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const value = z.union([scalar, z.array(scalar)], {
  error: 'values are strings, numbers, booleans, null, or arrays of these',
});
const params = z.union([z.array(value), z.record(z.string(), value)], {
  error:
    'must be an array for $1, $2, …, or an object for $name, of strings, numbers, booleans, null or arrays of these',
});
const maxRowsExpected = `must be a whole number from 1 to ${rowsMaxMax}`;
const sql = z.string({ error: 'must be text' }).optional();

const schema = z.strictObject({
  sql,
  q: sql,
  query: sql,
  params: params.optional(),
  max_rows: z.int(maxRowsExpected).min(1, maxRowsExpected).max(rowsMaxMax, maxRowsExpected).optional(),
  timeout: durationMs({ minMs: 1, maxMs: timeoutMsMax }).optional(),
  format: z.literal('json', { error: 'must be json' }).optional(),
});

/** @throws Failure `bad_request` where it is no object, `bad_param` naming every parameter that is wrong */
export function readQueryBody(body: unknown): QueryRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Failure('bad_request', 'the body must be a JSON object', { hint: bodyHint });
  return readQuery(body);
}

/** @param query as parsed from the URL: text, or an array of texts where a name is repeated */
export function readQueryString(query: Readonly<Record<string, unknown>>): QueryRequest {
  const { params: paramsText, max_rows: maxRowsText } = query;
  return readQuery({
    ...query,
    ...(typeof paramsText === 'string' ? { params: parseJson(paramsText) } : {}),
    ...(typeof maxRowsText === 'string' ? { max_rows: Number(maxRowsText) } : {}),
  });
}

const bodyHint = `such as {"sql": "select * from environment where device = $1", "params": ["dev-1"]}`;

function readQuery(raw: object): QueryRequest {
  const result = schema.safeParse(raw);
  if (!result.success) throw badParams(result.error.issues);
  const { params, max_rows: rowsMax, timeout: timeoutMs } = result.data;
  return {
    sql: onlySql(result.data),
    ...(params === undefined ? {} : { params }),
    ...(rowsMax === undefined ? {} : { rowsMax }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
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
