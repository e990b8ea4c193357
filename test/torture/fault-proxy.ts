/**
 * An HTTP proxy in front of an S3 server that does to requests what networks and servers under load do.
 *
 * Every request is taken whole (S3's are small here; `bodyBytesMax` bounds them), then the weather decides:
 *
 * - a delay, before anything else
 * - `slow down`: 503 SlowDown, the server never hears of it
 * - `reset`: half of the body reaches the server, then both connections are reset
 * - `lost`: the server does it, and the client's connection is reset instead of an answer
 * - otherwise request and answer pass unchanged, and so do signatures, since the Host header does
 *
 * With `isOut` every connection is closed at once.
 */
import { once } from 'node:events';
import {
  createServer,
  request as sendRequest,
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { systemClock } from '@varve/common/clock.js';
import type { Owner } from '../processes.js';
import type { Random } from './seeded-random.js';

export interface Weather {
  readonly isOut: boolean;
  /** Of each request: a random time up to this. */
  readonly delayMsMax: number;
  /** Shares of all requests; together at most 1. */
  readonly slowDown: number;
  readonly reset: number;
  readonly lost: number;
  /** Of PUTs alone, on top of the others; absent: none. */
  readonly lostPuts?: number;
}

export const calm: Weather = { isOut: false, delayMsMax: 0, slowDown: 0, reset: 0, lost: 0 };

type Fate = 'pass' | 'slow down' | 'reset' | 'lost';

export interface FaultProxy {
  /** `http://127.0.0.1:…` */
  readonly url: string;
  setWeather(weather: Weather): void;
  /** How many requests met which fate. */
  readonly fates: ReadonlyMap<Fate, number>;
}

const bodyBytesMax = 256 * 1024 ** 2;

const slowDownBody =
  '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>';

export async function startFaultProxy(owner: Owner, target: URL, random: Random): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const fates = new Map<Fate, number>();
  let weather = calm;

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await readBody(request);
    await systemClock.sleep(random() * weather.delayMsMax);
    if (weather.isOut) return void request.socket.destroy();
    const fate = planFate(weather, random(), request.method);
    fates.set(fate, (fates.get(fate) ?? 0) + 1);
    await meet(fate, target, { request, response, body });
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    // Whoever hung up does not wait for an answer.
    handle(request, response).catch(() => request.socket.destroy());
  };
  const server = createServer(onRequest);
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    response.writeContinue();
    onRequest(request, response);
  });
  server.on('connection', (socket) => {
    if (weather.isOut) return void socket.destroy();
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  owner.after(async () => {
    cut();
    server.close();
    await once(server, 'close');
  });
  const setWeather = (next: Weather) => {
    weather = next;
    if (next.isOut) cut();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, setWeather, fates };
}

/** `chance` in [0, 1). */
export function planFate(weather: Weather, chance: number, method?: string): Fate {
  const { slowDown, reset, lost, lostPuts = 0 } = weather;
  if (chance < slowDown) return 'slow down';
  if (chance < slowDown + reset) return 'reset';
  return chance < slowDown + reset + lost + (method === 'PUT' ? lostPuts : 0) ? 'lost' : 'pass';
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
}

async function meet(fate: Fate, target: URL, exchange: Exchange): Promise<void> {
  const { request, response, body } = exchange;
  if (fate === 'slow down') {
    response.writeHead(503, { 'content-type': 'application/xml', 'content-length': slowDownBody.length });
    response.end(slowDownBody);
    return;
  }
  const forwarded = forward(target, request);
  if (fate === 'reset') {
    forwarded.on('error', () => undefined);
    // The last byte is missing even from an empty body's request: its head is never flushed.
    if (body.length > 0) await write(forwarded, body.subarray(0, Math.floor(body.length / 2)));
    forwarded.destroy();
    request.socket.resetAndDestroy();
    return;
  }
  forwarded.end(body);
  const [answer] = (await once(forwarded, 'response')) as [IncomingMessage];
  const content = await readBody(answer);
  if (fate === 'lost') return void request.socket.resetAndDestroy();
  response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
  response.end(request.method === 'HEAD' ? undefined : content);
}

function forward(target: URL, { method, url, rawHeaders }: IncomingMessage): ClientRequest {
  // The body is here already: there is nothing to wait for.
  const headers = withoutHeader(rawHeaders, 'expect');
  return sendRequest({ host: target.hostname, port: target.port, method, path: url, headers, agent: false });
}

/** Of pairs in one list. */
function withoutHeader(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, index) => rawHeaders[index - (index % 2)]?.toLowerCase() !== name);
}

function write(request: ClientRequest, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => request.write(bytes, () => resolve()));
}

async function readBody(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    byteCount += chunk.length;
    if (byteCount > bodyBytesMax) throw new Error(`a body of more than ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
