/**
 * `GET|POST /api/v1/query`: SQL in, rows out, as they come. `GET /api/v1/queries`, `DELETE /api/v1/queries/{id}`: what runs.
 *
 * Whatever fails before the first row is sent is a problem document. After that the status is sent, and a failure breaks the
 * body off: a client sees a broken connection, never a short answer that looks whole. JSON lines end with `{"error": …}`
 * then. Bodies that are whole end with the trailer `x-query-status: ok`, and `x-query-truncated`. A client that hangs up
 * ends its query.
 *
 * An answer that the client has (`If-None-Match`) is not made again: its `ETag` names question, table versions and looks.
 */
import { createHash } from 'node:crypto';
import { Failure, messageOf } from '@varve/common/errors.js';
import type { FastifyInstance, FastifyReply, FastifyRequest } from './http-server.js';
import type { Logger } from '@varve/common/log.js';
import type { Snapshot } from '../delta/snapshot.js';
import { answerCount } from '../query/counted-rows.js';
import { tableLabel } from '../query/find-table.js';
import type { Answer } from '../query/query-answer.js';
import type { QueryEngine, QueryPlan } from '../query/query-engine.js';
import { renderPieces } from '../query/render-answer.js';
import { visibility } from './access-hook.js';
import { acceptedFormat, mediaTypes } from './answer-format.js';
import { acceptedEncoding } from './compression.js';
import { KnownQuestions } from './known-questions.js';
import { readQueryBody, readQueryString, type AskedQuery } from './query-request.js';
import { toSnakeCase } from './snake-case.js';
import { takeLittle, writeBody, type Body } from './write-body.js';

/** Until when tables are complete, as far as it is known without waiting. */
export type CompleteUntil = (snapshots: readonly Snapshot[]) => string | undefined;

export function addQueryRoutes(
  server: FastifyInstance,
  engine: QueryEngine,
  log: Logger,
  completeUntil?: CompleteUntil,
): void {
  acceptJsonOfAnyType(server);
  const accepted = (request: FastifyRequest) => () => acceptedFormat(request.headers.accept);
  const questions = new KnownQuestions<AskedQuery>();
  server.get('/api/v1/query', (request, reply) => {
    const asked = questions.of(`${request.headers.accept ?? ''} ${request.url}`, () =>
      readQueryString(request.query as Record<string, unknown>, accepted(request)),
    );
    return answerQuery(asked, engine, request, reply, log, completeUntil);
  });
  server.post('/api/v1/query', (request, reply) =>
    answerQuery(readQueryBody(request.body, accepted(request)), engine, request, reply, log, completeUntil),
  );
  server.get('/api/v1/queries', () =>
    toSnakeCase({ running: engine.queries.running(), recent: engine.queries.recent() }),
  );
  server.delete<{ Params: { id: string } }>('/api/v1/queries/:id', (request, reply) => {
    engine.queries.cancel(request.params.id);
    return reply.code(202).send({ query_id: request.params.id, state: 'cancelled' });
  });
}

/** `curl -d '{…}'` says that its body is a form. */
function acceptJsonOfAnyType(server: FastifyInstance): void {
  const types = ['application/x-www-form-urlencoded', 'text/plain'];
  server.addContentTypeParser(types, { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, JSON.parse(String(body)));
    } catch (cause) {
      done(new Failure('bad_request', `the body is not JSON: ${messageOf(cause)}`, { cause }));
    }
  });
}

/** A question, and who else may know its answer than DuckDB; undefined where nobody does. */
export interface AskedAnswer extends AskedQuery {
  readonly known?: (plan: QueryPlan, client: AbortSignal) => Promise<Answer | undefined>;
}

/** @throws Failure whatever is wrong before the first row */
export async function answerQuery(
  asked: AskedAnswer,
  engine: QueryEngine,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
  completeUntil?: CompleteUntil,
): Promise<FastifyReply> {
  const client = new AbortController();
  // After a whole answer nobody is left to be told.
  reply.raw.once('close', () => reply.raw.writableFinished || client.abort());
  const plan = await engine.plan({ ...asked.query, isVisible: visibility(request) });
  const plannedMs = engine.elapsedMs(plan);
  if (asked.instead) {
    setPlanHeaders(reply, plan, completeUntil);
    return reply.send(
      asked.instead === 'dry_run'
        ? await engine.estimate(plan)
        : await engine.explain(plan, asked.instead, client.signal),
    );
  }
  if (isKnown(request.headers['if-none-match'], asked, plan)) {
    setPlanHeaders(reply, plan, completeUntil, entityTag(asked, plan));
    return reply.code(304).send();
  }
  const body = await startBody(asked, plan, engine, client.signal).catch((error: unknown) => {
    setPlanHeaders(reply, plan, completeUntil);
    throw error;
  });
  const firstMs = engine.elapsedMs(plan) - plannedMs;
  // Not before the query runs: its first rows are on their way now.
  setPlanHeaders(reply, plan, completeUntil, entityTag(asked, plan));
  const encoding = acceptedEncoding(request.headers['accept-encoding']);
  const start = await takeLittle(body);
  void reply
    .header('server-timing', `plan;dur=${ms(plannedMs)}, first;dur=${ms(firstMs)}`)
    .type(mediaTypes[asked.format]);
  writeBody(start, body, reply, { encoding, queryId: plan.queryId, log });
  return reply;
}

function setPlanHeaders(
  reply: FastifyReply,
  { queryId, tables }: QueryPlan,
  completeUntil: CompleteUntil | undefined,
  tag?: string,
): void {
  const snapshots = tables.map(({ snapshot }) => snapshot);
  const versions = new Set(snapshots.map((snapshot) => `${tableLabel(snapshot)}=${snapshot.version}`));
  void reply
    .header('x-query-id', queryId)
    .header('x-table-version', [...versions].join(', '))
    .header('vary', 'accept, accept-encoding')
    .header('cache-control', 'no-cache');
  const complete = completeUntil?.(snapshots);
  if (complete !== undefined) void reply.header('x-complete-until', complete);
  if (tag !== undefined) void reply.header('etag', tag);
}

async function startBody(
  { format, render, known }: AskedAnswer,
  plan: QueryPlan,
  engine: QueryEngine,
  client: AbortSignal,
): Promise<Body> {
  const whole = { 'x-query-status': () => 'ok' };
  if (format === 'parquet') {
    const file = await engine.export(plan, client, render.bytesMax);
    return { pieces: file.pieces(), close: () => file.close(), trailers: whole };
  }
  const found =
    (await known?.(plan, client)) ?? answerCount(plan, engine) ?? (await engine.run(plan, client));
  return {
    pieces: renderPieces(found, format, render),
    close: () => found.close(),
    signal: found.signal,
    trailers: { ...whole, 'x-query-truncated': () => String(found.isTruncated) },
  };
}

const ms = (value: number) => value.toFixed(2);

/** Weak: statistics in an answer differ from time to time. */
function entityTag({ format, render }: AskedQuery, { answerTag }: QueryPlan): string | undefined {
  if (answerTag === undefined) return undefined;
  return `W/"${answerTag}-${nameOfLooks(JSON.stringify([format, render]))}"`;
}

/** Few, most of the time. */
const knownLooks = new Map<string, string>();
const knownLooksMax = 1_000;

function nameOfLooks(looks: string): string {
  let name = knownLooks.get(looks);
  if (name === undefined) {
    name = createHash('sha256').update(looks).digest('base64url').slice(0, 8);
    if (knownLooks.size >= knownLooksMax) knownLooks.clear();
    knownLooks.set(looks, name);
  }
  return name;
}

/** Whether the client has that answer. */
function isKnown(ifNoneMatch: string | undefined, asked: AskedQuery, plan: QueryPlan): boolean {
  const tag = ifNoneMatch === undefined ? undefined : entityTag(asked, plan);
  if (ifNoneMatch === undefined || tag === undefined) return false;
  const known = ifNoneMatch.split(',').map((part) => part.trim());
  return known.includes(tag) || known.includes(tag.slice(2)) || known.includes('*');
}
