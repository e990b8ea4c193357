/**
 * The HTTP server under tsdb: fastify with bounded bodies and times, RFC 9457 problem documents for every error, `/healthz`
 * and `/metrics`.
 */
import { explainListenError, type ListenAddress } from '@varve/common/config/listen-address.js';
import { Failure, messageOf, systemCodeOf, type FailureCode } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { Registry } from '@varve/common/metrics.js';
import { describeProblem, problemType } from '@varve/common/problem.js';
import { createServer } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';

import type { ServerCertificate } from './server-certificate.js';
import { Turns } from './turns.js';

export type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

export interface HttpServerOptions {
  readonly log: Logger;
  readonly registry: Registry;
  readonly bodyBytesMax: number;
  /** Absent: plain HTTP. */
  readonly certificate?: ServerCertificate | undefined;
}

const times = { requestTimeout: 60_000, keepAliveTimeout: 65_000 };

/** Routes have no JSON schemas of fastify's: its compilers for them would be 8 MB of memory for nothing. */
const noCompiler = () => () => {
  throw new Error('a route of fastify has a schema: check with zod instead');
};

export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { log, registry, bodyBytesMax, certificate } = options;
  const server = Fastify({
    serverFactory: (listener) =>
      certificate ? certificate.createServer(times, listener) : createServer(times, listener),
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    bodyLimit: bodyBytesMax,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
  });
  const turns = new Turns();
  server.addHook('onRequest', (_request, _reply, done) => {
    turns.take(done);
  });
  server.setErrorHandler((error, _request, reply) => sendProblem(reply, toFailure(error), log, error));
  server.setNotFoundHandler((request, reply) => {
    const failure = new Failure(
      'route_not_found',
      `there is no ${request.method} ${request.url.split('?')[0] ?? ''}`,
      { hint: 'GET / lists what there is' },
    );
    return sendProblem(reply, failure, log, failure);
  });
  server.get('/healthz', () => ({ status: 'ok' }));
  server.get('/metrics', async (_request, reply) => {
    void reply.type(registry.contentType);
    return registry.metrics();
  });
  return server;
}

/** Starts to listen. Returns the address with the real port. @throws Failure `port_taken` naming `option` */
export async function listen(
  server: FastifyInstance,
  address: ListenAddress,
  option: string,
): Promise<ListenAddress> {
  try {
    await server.listen({ host: address.host, port: address.port });
  } catch (error) {
    throw explainListenError(error, address, option);
  }
  const bound = server.server.address();
  return typeof bound === 'object' && bound ? { host: address.host, port: bound.port } : address;
}

export function sendProblem(
  reply: FastifyReply,
  failure: Failure | undefined,
  log: Logger,
  cause: unknown,
): FastifyReply {
  const { status, headers, document } = describeProblem(failure, log, cause);
  return reply.code(status).headers(headers).type(problemType).send(document);
}

const fastifyCodes: Readonly<Record<string, FailureCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'media_type_unsupported',
};

function toFailure(error: unknown): Failure | undefined {
  if (error instanceof Failure) return error;
  const code = fastifyCodes[systemCodeOf(error) ?? ''];
  if (code !== undefined) return new Failure(code, messageOf(error));
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' && status < 500
    ? new Failure('bad_request', messageOf(error))
    : undefined;
}
