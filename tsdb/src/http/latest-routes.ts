/**
 * `GET /api/v1/tables/{table}/latest`, `/api/v1/latest?table=`: the newest row of every series ever seen, with its age.
 *
 * | name            | meaning                                                                        |
 * |-----------------|--------------------------------------------------------------------------------|
 * | a tag's name    | `device=dev-1,dev-2`: only these series                                        |
 * | `columns`       | `temp,hum`: only these fields                                                  |
 * | `stale_after`   | `5m`: rows older than that have `stale: true`                                  |
 * | `max_rows`      | default 100,000; more series are cut off                                       |
 * | `as_of`         | what it would have answered then, ages too; of a version: its rows, as old as now |
 * | `format`, …     | as `/api/v1/query` has them                                                    |
 *
 * From memory, a few milliseconds for ten thousand series, also right after a restart. Only where the register does not know a
 * table (windows; more series than it holds), and where an answer is wanted in another way (`as_of`, `format`, `tz`, …), its newest
 * rows are asked for in SQL.
 */
import type { Clock } from '@varve/common/clock.js';
import { durationMs } from '@varve/common/config/units.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { FastifyInstance, FastifyReply, FastifyRequest } from './http-server.js';
import type { Logger } from '@varve/common/log.js';
import { z } from 'zod';
import { shownFields } from '../delta/shown-fields.js';
import type { Snapshot, TableCatalog } from '../delta/snapshot.js';
import type { LatestRows } from '../latest/series.js';
import { mergedColumns, mergedTags } from '../query/merge-partials.js';
import type { QueryEngine } from '../query/query-engine.js';
import { tableLabel } from '../query/find-table.js';
import { latestTexts, type LatestQuestion } from '../sensors/latest-answer.js';
import { latestSql } from '../sensors/latest-sql.js';
import { badParam, checkParams } from './check-params.js';
import { answerQuery } from './query-routes.js';
import { acceptedFormat } from './answer-format.js';
import { readQueryString } from './query-request.js';
import { answerShape, requireFields } from './range-request.js';
import { requireTableAsOf, splitList, splitTags } from './table-request.js';

export interface LatestSources {
  readonly catalog: TableCatalog;
  readonly engine: QueryEngine;
  readonly clock: Clock;
  readonly log: Logger;
  /** The newest rows as of now; undefined where they are not kept. May wait while they are read. */
  readonly newestRows: (name: TableName) => Promise<LatestRows | undefined>;
}

const rowsMaxLimit = 500_000;
const rowsMaxExpected = `must be a whole number from 1 to ${rowsMaxLimit}`;

export const latestSchema = z.strictObject({
  table: z.string({ error: 'must be the name of a table' }).optional(),
  columns: z.string({ error: 'must be names of fields, such as temp,hum' }).optional(),
  stale_after: durationMs({ minMs: 1 }).optional(),
  max_rows: z.coerce
    .number(rowsMaxExpected)
    .int(rowsMaxExpected)
    .min(1, rowsMaxExpected)
    .max(rowsMaxLimit, rowsMaxExpected)
    .default(100_000),
});

/** For the description of the API. */
export const latestParams = z.strictObject({ ...answerShape, ...latestSchema.shape });

export function addLatestRoutes(server: FastifyInstance, sources: LatestSources): void {
  server.get<{ Params: { table: string } }>('/api/v1/tables/:table/latest', (request, reply) =>
    answerLatest(request.params.table, sources, request, reply),
  );
  server.get('/api/v1/latest', (request, reply) => {
    const { table } = request.query as { table?: unknown };
    if (typeof table !== 'string')
      throw badParam('table', 'is missing', 'such as /api/v1/latest?table=environment');
    return answerLatest(table, sources, request, reply);
  });
}

async function answerLatest(
  label: string,
  sources: LatestSources,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { catalog, clock, engine, log } = sources;
  const startedMs = clock.monotonicMs();
  const query = request.query as Record<string, unknown>;
  const { snapshot, asOf } = await requireTableAsOf(catalog, label, query);
  const { question, options } = readQuestion(snapshot, query);
  const answer = readQueryString({ ...options, sql: 'select' }, () => acceptedFormat(request.headers.accept));
  const isPlain = answer.format === 'json' && Object.keys(options).every((name) => name === 'format');
  const rows = isPlain ? await untilLate(sources.newestRows(snapshot.name), clock) : undefined;
  if (rows === undefined) {
    const nowMs = asOf && 'timeMs' in asOf ? asOf.timeMs : clock.nowMs();
    const asked = { ...answer, query: { ...answer.query, ...latestSql(snapshot, question, nowMs) } };
    return await answerQuery(asked, engine, request, reply, log);
  }
  const { page, rowCount, isTruncated } = latestTexts(rows, snapshot.columns, question, clock.nowMs());
  const stats = {
    elapsed_ms: Math.round((clock.monotonicMs() - startedMs) * 1_000) / 1_000,
    table_versions: { [tableLabel(snapshot)]: snapshot.version },
  };
  page.put(`,"row_count":${rowCount},"truncated":${isTruncated},"stats":${JSON.stringify(stats)}}\n`);
  return reply.header('cache-control', 'no-cache').type('application/json; charset=utf-8').send(page.take());
}

function readQuestion(
  snapshot: Snapshot,
  query: Readonly<Record<string, unknown>>,
): { question: LatestQuestion; options: Record<string, unknown> } {
  const { columns, aggregate } = snapshot;
  const tags = (aggregate ? mergedTags(columns) : columns.tags).map(({ name }) => name);
  const { tagValues, others } = splitTags(query, tags, Object.keys(latestParams.shape));
  const isOption = ([name]: [string, unknown]) => name in answerShape && !(name in latestSchema.shape);
  const options = Object.fromEntries(Object.entries(others).filter(isOption));
  const own = Object.fromEntries(Object.entries(others).filter((entry) => !isOption(entry)));
  const given = checkParams(latestSchema, own, [...Object.keys(answerShape), ...tags]);
  const known = (aggregate ? mergedColumns(columns, aggregate) : shownFields(columns)).map(
    ({ name }) => name,
  );
  const question = {
    tagValues,
    fields: given.columns === undefined ? undefined : requireFields(splitList(given.columns), known),
    staleAfterMs: given.stale_after,
    rowsMax: given.max_rows,
  };
  return { question, options };
}

const readWithinMs = 20_000;

/** A large lake that is read for the first time takes longer than a client waits. */
async function untilLate<T>(rows: Promise<T>, clock: Clock): Promise<T> {
  const done = new AbortController();
  const late = clock.sleep(readWithinMs, done.signal).then((): never | undefined => {
    if (done.signal.aborted) return undefined;
    throw new Failure('overloaded', 'the newest rows are being read from the store for the first time', {
      hint: 'ask again in a minute',
    });
  });
  try {
    return (await Promise.race([rows, late])) as T;
  } finally {
    done.abort();
  }
}
