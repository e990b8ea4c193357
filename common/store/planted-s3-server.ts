/**
 * A small S3 on loopback, for tests: keeps objects in memory, honours `If-None-Match: *`, and answers as planted.
 *
 * `answers` is consumed from the front, one per request; when it is empty the server is sound.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { nameUploadRequest, PlantedUploads, type PlantedEffect } from './planted-s3-uploads.js';

export type PlantedAnswer =
  | {
      readonly status: number;
      readonly code?: string | undefined;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** With status 200 and nothing else: captive portals, and what DeleteObjects could not delete. */
  | { readonly text: string }
  /** The connection is reset before the request takes effect. */
  | 'reset'
  /** The connection is reset in the middle of the request's body. */
  | 'cut'
  /** The request takes effect, then the connection is reset. */
  | 'answer lost'
  /** The request takes effect, and the answer is 412. */
  | 'refused in word only'
  /** Half of the object is sent, then the connection is reset. */
  | 'half'
  | 'silence'
  | 'sound';

export interface PlantedS3Server {
  readonly endpoint: string;
  readonly answers: PlantedAnswer[];
  /** `GET /bucket/key` or, of multipart uploads, `part 3 /bucket/key`; in the order they came. */
  readonly requests: string[];
  /** Of the requests. */
  readonly headers: IncomingHttpHeaders[];
  readonly objects: Map<string, Buffer>;
  readonly uploads: PlantedUploads;
  /** Requests that were met with silence. */
  readonly silences: number;
  close(): void;
}

export async function startPlantedS3Server(): Promise<PlantedS3Server> {
  const answers: PlantedAnswer[] = [];
  const requests: string[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const objects = new Map<string, Buffer>();
  const uploads = new PlantedUploads(objects);
  let silences = 0;
  const server = createServer((request, response) => {
    const note = () => {
      const method = request.method ?? '';
      requests.push(`${nameUploadRequest(method, queryOf(request)) ?? method} ${pathOf(request)}`);
      headers.push(request.headers);
    };
    if (answers[0] === 'cut') {
      answers.shift();
      note();
      request.once('data', () => request.socket.resetAndDestroy());
      return;
    }
    void readBody(request).then(
      (body) => {
        note();
        const planted = answers.shift() ?? 'sound';
        if (planted === 'silence') silences++;
        else answer(planted, { request, response, body, objects, uploads });
      },
      () => undefined,
    ); // The client went away in the middle of its request: it never took effect.
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return {
    ...{ endpoint, answers, requests, headers, objects, uploads, close },
    get silences() {
      return silences;
    },
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
  readonly objects: Map<string, Buffer>;
  readonly uploads: PlantedUploads;
}

function answer(planted: PlantedAnswer, exchange: Exchange): void {
  const { request, response } = exchange;
  if (planted === 'silence' || planted === 'cut') return;
  if (planted === 'reset') request.socket.resetAndDestroy();
  else if (planted === 'half') answerHalf(exchange);
  else if (planted === 'sound') answerSoundly(exchange);
  else if (planted === 'answer lost') {
    takeEffect(exchange);
    request.socket.resetAndDestroy();
  } else if (planted === 'refused in word only') {
    takeEffect(exchange);
    answerError(response, 412, 'PreconditionFailed');
  } else if ('text' in planted) response.writeHead(200).end(planted.text);
  else answerError(response, planted.status, planted.code, planted.headers);
}

function answerSoundly(exchange: Exchange): void {
  const { request, response, objects } = exchange;
  const { status, text } = takeEffect(exchange);
  const content = request.method === 'GET' ? objects.get(pathOf(request)) : text;
  if (status >= 400) answerError(response, status, status === 412 ? 'PreconditionFailed' : 'NoSuchKey');
  else response.writeHead(status, { etag: '"planted"' }).end(content);
}

/** Returns what to answer. */
function takeEffect({ request, body, objects, uploads }: Exchange): PlantedEffect {
  const { method = '' } = request;
  const path = pathOf(request);
  const ifNoneMatch = request.headers['if-none-match'] === '*';
  const effect = uploads.takeEffect({ method, path, query: queryOf(request), ifNoneMatch, body });
  if (effect !== undefined) return effect;
  if (method === 'PUT') {
    if (ifNoneMatch && objects.has(path)) return { status: 412 };
    objects.set(path, body);
    return { status: 200 };
  }
  if (method === 'POST') return deleteMany(body, path, objects);
  if (method === 'DELETE') {
    objects.delete(path);
    return { status: 204 };
  }
  return { status: objects.has(path) ? 200 : 404 };
}

function deleteMany(body: Buffer, bucketPath: string, objects: Map<string, Buffer>): PlantedEffect {
  for (const [, key] of body.toString().matchAll(/<Key>([^<]*)</g))
    objects.delete(`${bucketPath.replace(/\/$/, '')}/${key}`);
  return { status: 200, text: '<DeleteResult></DeleteResult>' };
}

function answerHalf({ request, response, objects }: Exchange): void {
  const content = objects.get(pathOf(request)) ?? Buffer.alloc(0);
  response.writeHead(200, { 'content-length': content.length });
  response.write(content.subarray(0, content.length / 2), () => request.socket.resetAndDestroy());
}

function answerError(
  response: ServerResponse,
  status: number,
  code?: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { ...headers, 'content-type': 'application/xml' });
  response.end(code === undefined ? '' : `<Error><Code>${code}</Code><Message>planted</Message></Error>`);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function queryOf(request: IncomingMessage): URLSearchParams {
  return new URLSearchParams(/\?(.*)/.exec(request.url ?? '')?.[1] ?? '');
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').replace(/\?.*/, '');
}
