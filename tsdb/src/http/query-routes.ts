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
import { Readable } from 'node:stream';
import { Failure, messageOf } from '@varve/common/errors.js';
import type { FastifyInstance, FastifyReply, FastifyRequest } from './http-server.js';
import type { Logger } from '@varve/common/log.js';
import type { Snapshot } from '../delta/snapshot.js';
import { tableLabel } from '../query/find-table.js';
import type { QueryEngine, QueryPlan } from '../query/query-engine.js';
import { renderAnswer } from '../query/render-answer.js';
import { visibleTables } from './access-hook.js';
import { acceptedFormat, mediaTypes } from './answer-format.js';
import { acceptedEncoding, compress } from './compression.js';
import { readQueryBody, readQueryString, type AskedQuery } from './query-request.js';
import { toSnakeCase } from './snake-case.js';

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
  server.get('/api/v1/query', (request, reply) =>
    answerQuery(
      readQueryString(request.query as Record<string, unknown>, accepted(request)),
      engine,
      request,
      reply,
      log,
      completeUntil,
    ),
  );
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

/** @throws Failure whatever is wrong before the first row */
export async function answerQuery(
  asked: AskedQuery,
  engine: QueryEngine,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
  completeUntil?: CompleteUntil,
): Promise<FastifyReply> {
  const client = new AbortController();
  // After a whole answer nobody is left to be told.
  reply.raw.once('close', () => reply.raw.writableFinished || client.abort());
  const isVisible = (snapshot: Snapshot) => visibleTables(request, [snapshot]).length > 0;
  const plan = await engine.plan({ ...asked.query, isVisible });
  const plannedMs = engine.elapsedMs(plan);
  const tag = entityTag(asked, plan);
  void reply
    .header('x-query-id', plan.queryId)
    .header(
      'x-table-version',
      [...new Set(plan.tables.map(({ snapshot }) => `${tableLabel(snapshot)}=${snapshot.version}`))].join(
        ', ',
      ),
    )
    .header('vary', 'accept, accept-encoding')
    .header('cache-control', 'no-cache');
  const complete = completeUntil?.(plan.tables.map(({ snapshot }) => snapshot));
  if (complete !== undefined) void reply.header('x-complete-until', complete);
  if (asked.instead === 'dry_run') return reply.send(await engine.estimate(plan));
  if (asked.instead) return reply.send(await engine.explain(plan, asked.instead, client.signal));
  if (tag !== undefined) void reply.header('etag', tag);
  if (tag !== undefined && isKnown(request.headers['if-none-match'], tag)) return reply.code(304).send();
  const body = await startBody(asked, plan, engine, client.signal);
  const firstMs = engine.elapsedMs(plan) - plannedMs;
  const encoding = acceptedEncoding(request.headers['accept-encoding']);
  const start = await takeLittle(body.pieces);
  // Whatever becomes of the reply: what has begun must be ended, also when nobody takes the rest.
  reply.raw.once('close', () => void body.pieces.return(undefined).catch(() => undefined));
  void reply
    .header('server-timing', `plan;dur=${ms(plannedMs)}, first;dur=${ms(firstMs)}`)
    .type(mediaTypes[asked.format]);
  for (const [name, value] of Object.entries(body.trailers))
    reply.trailer(name, () => Promise.resolve(value()));
  if (start.isWhole && encoding === undefined) {
    // Its trailers come a moment later and would be a packet of their own; their end uncorks.
    reply.raw.cork();
    return reply.send(joined(start.pieces));
  }
  return sendStream(logFailure(withStart(start, body.pieces), plan.queryId, log), encoding, reply);
}

function sendStream(
  pieces: AsyncIterable<Piece>,
  encoding: ReturnType<typeof acceptedEncoding>,
  reply: FastifyReply,
): FastifyReply {
  const stream = Readable.from(pieces, { objectMode: false, highWaterMark: littleLength });
  return encoding === undefined
    ? reply.send(stream)
    : reply.header('content-encoding', encoding).send(compress(stream, encoding));
}

/** Characters, or bytes. What fails before so much is there is a problem document, whatever the format. */
const littleLength = 65_536;

type Piece = string | Uint8Array;

interface BodyStart {
  readonly pieces: readonly Piece[];
  readonly isWhole: boolean;
}

/** A body up to the first pieces that are more than a little: a stream for it takes longer than many a query. */
async function takeLittle(body: AsyncIterator<Piece, unknown>): Promise<BodyStart> {
  const pieces: Piece[] = [];
  for (let length = 0; length < littleLength;) {
    const next = await body.next();
    if (next.done === true) return { pieces, isWhole: true };
    pieces.push(next.value);
    length += next.value.length;
  }
  return { pieces, isWhole: false };
}

/** A body is text, or bytes. */
function joined(pieces: readonly Piece[]): string | Buffer {
  return pieces.every((piece) => typeof piece === 'string')
    ? pieces.join('')
    : Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
}

async function* withStart({ pieces }: BodyStart, others: AsyncGenerator<Piece>): AsyncGenerator<Piece> {
  try {
    yield* pieces;
    yield* others;
  } finally {
    await others.return(undefined);
  }
}

interface Body {
  readonly pieces: AsyncGenerator<Piece>;
  readonly trailers: Readonly<Record<string, () => string>>;
}

async function startBody(
  { format, render }: AskedQuery,
  plan: QueryPlan,
  engine: QueryEngine,
  client: AbortSignal,
): Promise<Body> {
  const whole = { 'x-query-status': () => 'ok' };
  if (format === 'parquet') {
    const file = await engine.export(plan, client, render.bytesMax);
    return { pieces: file.pieces(), trailers: whole };
  }
  const found = await engine.run(plan, client);
  return {
    pieces: renderAnswer(found, format, render),
    trailers: { ...whole, 'x-query-truncated': () => String(found.isTruncated) },
  };
}

const ms = (value: number) => value.toFixed(2);

/** Weak: statistics in an answer differ from time to time. */
function entityTag({ format, render }: AskedQuery, { answerTag }: QueryPlan): string | undefined {
  if (answerTag === undefined) return undefined;
  const looks = createHash('sha256')
    .update(JSON.stringify([format, render]))
    .digest('base64url')
    .slice(0, 8);
  return `W/"${answerTag}-${looks}"`;
}

function isKnown(ifNoneMatch: string | undefined, tag: string): boolean {
  const known = (ifNoneMatch ?? '').split(',').map((part) => part.trim());
  return known.includes(tag) || known.includes(tag.slice(2)) || known.includes('*');
}

/** The status has been sent: the log is the only place left for the reason. */
async function* logFailure(
  pieces: AsyncIterable<Piece>,
  queryId: string,
  log: Logger,
): AsyncGenerator<Piece> {
  try {
    yield* pieces;
  } catch (error) {
    log.warn({ query_id: queryId, reason: messageOf(error) }, 'an answer was broken off');
    throw error;
  }
}
