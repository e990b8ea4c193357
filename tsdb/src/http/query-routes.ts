/**
 * `GET|POST /api/v1/query`: SQL in, JSON out, row by row.
 *
 * Whatever fails before the first row is a problem document. After that the status is sent, and a failure breaks the
 * body off: a client sees a broken connection, never a short answer that looks whole. A client that hangs up ends its
 * query.
 */
import { Readable } from 'node:stream';
import { Failure, messageOf } from '@varve/common/errors.js';
import type { FastifyInstance, FastifyReply } from '@varve/common/http-server.js';
import type { Logger } from '@varve/common/log.js';
import type { QueryEngine, QueryRequest } from '../query/query-engine.js';
import { renderJson } from '../query/render-json.js';
import { readQueryBody, readQueryString } from './query-request.js';

export function addQueryRoutes(server: FastifyInstance, engine: QueryEngine, log: Logger): void {
  acceptJsonOfAnyType(server);
  server.get('/api/v1/query', (request, reply) =>
    answer(readQueryString(request.query as Record<string, unknown>), engine, reply, log),
  );
  server.post('/api/v1/query', (request, reply) => answer(readQueryBody(request.body), engine, reply, log));
}

/** `curl -d '{…}'` says that its body is a form. */
function acceptJsonOfAnyType(server: FastifyInstance): void {
  const mediaTypes = ['application/x-www-form-urlencoded', 'text/plain'];
  server.addContentTypeParser(mediaTypes, { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, JSON.parse(String(body)));
    } catch (cause) {
      done(new Failure('bad_request', `the body is not JSON: ${messageOf(cause)}`, { cause }));
    }
  });
}

async function answer(
  request: QueryRequest,
  engine: QueryEngine,
  reply: FastifyReply,
  log: Logger,
): Promise<FastifyReply> {
  const client = new AbortController();
  reply.raw.once('close', () => client.abort());
  const found = await engine.query(request, client.signal);
  const pieces = Readable.from(logFailure(renderJson(found), found.queryId, log));
  return reply.header('x-query-id', found.queryId).type('application/json; charset=utf-8').send(pieces);
}

/** The status has been sent: the log is the only place left for the reason. */
async function* logFailure(
  pieces: AsyncIterable<string>,
  queryId: string,
  log: Logger,
): AsyncGenerator<string> {
  try {
    yield* pieces;
  } catch (error) {
    log.warn({ query_id: queryId, reason: messageOf(error) }, 'an answer was broken off');
    throw error;
  }
}
