/**
 * A small S3 on loopback, for tests: keeps objects in memory, honours `If-None-Match: *`, and answers as planted.
 *
 * `answers` is consumed from the front, one per request; when it is empty the server is sound.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type PlantedAnswer =
  | { readonly status: number; readonly code?: string | undefined }
  /** With status 200 and nothing else: captive portals, and what DeleteObjects could not delete. */
  | { readonly text: string }
  /** The connection is reset before the request takes effect. */
  | 'reset'
  /** The request takes effect, then the connection is reset. */
  | 'answer lost'
  /** Half of the object is sent, then the connection is reset. */
  | 'half'
  | 'silence'
  | 'sound';

export interface PlantedS3Server {
  readonly endpoint: string;
  readonly answers: PlantedAnswer[];
  /** `GET /bucket/key`, in the order they came. */
  readonly requests: string[];
  readonly objects: Map<string, Buffer>;
  close(): void;
}

export async function startPlantedS3Server(): Promise<PlantedS3Server> {
  const answers: PlantedAnswer[] = [];
  const requests: string[] = [];
  const objects = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      requests.push(`${request.method} ${pathOf(request)}`);
      answer(answers.shift() ?? 'sound', { request, response, body, objects });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { endpoint, answers, requests, objects, close };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
  readonly objects: Map<string, Buffer>;
}

function answer(planted: PlantedAnswer, exchange: Exchange): void {
  const { request, response } = exchange;
  if (planted === 'silence') return;
  if (planted === 'reset') request.socket.resetAndDestroy();
  else if (planted === 'half') answerHalf(exchange);
  else if (planted === 'sound') answerSoundly(exchange);
  else if (planted === 'answer lost') {
    takeEffect(exchange);
    request.socket.resetAndDestroy();
  } else if ('text' in planted) response.writeHead(200).end(planted.text);
  else answerError(response, planted.status, planted.code);
}

function answerSoundly(exchange: Exchange): void {
  const { request, response, objects } = exchange;
  const status = takeEffect(exchange);
  const content = request.method === 'GET' ? objects.get(pathOf(request)) : undefined;
  if (status >= 400) answerError(response, status, status === 412 ? 'PreconditionFailed' : 'NoSuchKey');
  else response.writeHead(status, { etag: '"planted"' }).end(content);
}

/** Returns the status to answer. */
function takeEffect({ request, body, objects }: Exchange): number {
  const path = pathOf(request);
  if (request.method === 'PUT') {
    if (request.headers['if-none-match'] === '*' && objects.has(path)) return 412;
    objects.set(path, body);
    return 200;
  }
  if (request.method === 'DELETE') {
    objects.delete(path);
    return 204;
  }
  return objects.has(path) ? 200 : 404;
}

function answerHalf({ request, response, objects }: Exchange): void {
  const content = objects.get(pathOf(request)) ?? Buffer.alloc(0);
  response.writeHead(200, { 'content-length': content.length });
  response.write(content.subarray(0, content.length / 2), () => request.socket.resetAndDestroy());
}

function answerError(response: ServerResponse, status: number, code?: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(code === undefined ? '' : `<Error><Code>${code}</Code><Message>planted</Message></Error>`);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').replace(/\?.*/, '');
}
