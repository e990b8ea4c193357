/**
 * A few routes on Node's own HTTP server, with bounded connections, bodies and times and RFC 9457 problem documents. A framework
 * would be 4 MB of every gateway's memory for five routes.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { explainListenError, type ListenAddress } from '@varve/common/config/listen-address.js';
import { Failure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { describeProblem, problemType } from '@varve/common/problem.js';

const connectionsMax = 32;
const bodyBytesMax = 1_024;
const requestMsMax = 60_000;
const keepAliveMs = 65_000;
/** For answers that are under way when the server closes. */
const closingMsMax = 5_000;

export interface LocalRequest {
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string;
  readonly params: URLSearchParams;
  /** @throws Failure `body_too_large`, `bad_request` where it is not JSON */
  readonly readJson: () => Promise<unknown>;
}

export interface LocalAnswer {
  readonly type: string;
  readonly body: string | Readable;
}

/** By method and path: `GET /status`. */
export type LocalRoutes = Readonly<
  Record<string, (request: LocalRequest) => LocalAnswer | Promise<LocalAnswer>>
>;

export interface LocalHttpServer {
  /** Starts to listen. Returns the address with the real port. @throws Failure `port_taken`, `config_invalid` naming `option` */
  listen(address: ListenAddress, option: string): Promise<ListenAddress>;
  /** Waits for answers that are under way, for a time. */
  close(): Promise<void>;
}

export function answerJson(value: unknown): LocalAnswer {
  return { type: 'application/json; charset=utf-8', body: JSON.stringify(value) };
}

export function createLocalHttpServer(routes: LocalRoutes, log: Logger): LocalHttpServer {
  const server = createServer({ requestTimeout: requestMsMax, keepAliveTimeout: keepAliveMs });
  server.maxConnections = connectionsMax;
  server.on('request', (request, response) => {
    void answer(routes, request, response, log);
  });
  return {
    listen: (address, option) =>
      new Promise((resolve, reject) => {
        server.once('error', (error) => {
          reject(explainListenError(error, address, option));
        });
        server.listen({ host: address.host, port: address.port }, () => {
          const bound = server.address();
          resolve(typeof bound === 'object' && bound ? { host: address.host, port: bound.port } : address);
        });
      }),
    close: () =>
      new Promise((resolve) => {
        const impatience = setTimeout(() => {
          server.closeAllConnections();
        }, closingMsMax);
        server.close(() => {
          clearTimeout(impatience);
          resolve();
        });
      }),
  };
}

async function answer(
  routes: LocalRoutes,
  request: IncomingMessage,
  response: ServerResponse,
  log: Logger,
): Promise<void> {
  try {
    const { type, body } = await dispatch(routes, request);
    response.setHeader('content-type', type);
    if (typeof body === 'string') response.end(body);
    else if (request.method === 'HEAD') response.end(() => body.destroy());
    else {
      // Who waits for what comes next knows at once that it will.
      response.flushHeaders();
      await pipeline(body, response);
    }
  } catch (error) {
    // The client has hung up, or learns it by an answer that breaks off.
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const failure = error instanceof Failure ? error : undefined;
    const { status, headers, document } = describeProblem(failure, log, error);
    // What is left of a body that was too large is not read.
    if (!request.complete) response.setHeader('connection', 'close');
    response.writeHead(status, { ...headers, 'content-type': problemType }).end(JSON.stringify(document));
  }
}

async function dispatch(routes: LocalRoutes, request: IncomingMessage): Promise<LocalAnswer> {
  const [path = '', query] = (request.url ?? '').split('?', 2);
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
  const name = `${method} ${path}`;
  const route = Object.hasOwn(routes, name) ? routes[name] : undefined;
  if (!route) throw new Failure('route_not_found', `there is no ${request.method ?? ''} ${path}`);
  return route({
    headers: request.headers,
    remoteAddress: request.socket.remoteAddress ?? '',
    params: new URLSearchParams(query),
    readJson: () => readJson(request),
  });
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > bodyBytesMax)
      throw new Failure('body_too_large', `what is sent may have ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new Failure('bad_request', 'what was sent is not JSON', { cause });
  }
}
