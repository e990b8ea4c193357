/**
 * An answer's bytes onto its socket, as they come. Past fastify: its streams take longer than many a query, and it sends
 * trailers a moment after the body.
 *
 * 1. A little answer leaves in one write, headers and trailers with it.
 * 2. Of a longer one the client reads the first pieces while the next ones are made. No more are made than it takes.
 * 3. A failure behind the first byte breaks the connection: a short answer must not look whole.
 * 4. A client that takes nothing holds a query's place, or a file, until the query's time is up, and for `stalledMsMax` at most.
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { compress, type Encoding } from './compression.js';
import type { FastifyReply } from './http-server.js';

export interface Body {
  readonly pieces: AsyncGenerator<Uint8Array>;
  /** Must be called, also when not all pieces were taken; may be called twice. */
  readonly close: () => Promise<void>;
  readonly trailers: Readonly<Record<string, () => string>>;
  /** Aborts when no more of it may be taken, whoever waits for that. */
  readonly signal?: AbortSignal | undefined;
}

/** The first pieces of a body, or all of it. */
export interface BodyStart {
  readonly pieces: readonly Uint8Array[];
  readonly isWhole: boolean;
}

/** Bytes. What fails before so much is there is a problem document, whatever the format. */
const littleLength = 65_536;

/** @throws Failure whatever fails so early; the body is closed then */
export async function takeLittle(body: Body): Promise<BodyStart> {
  const pieces: Uint8Array[] = [];
  try {
    for (let length = 0; length < littleLength;) {
      const next = await body.pieces.next();
      if (next.done === true) return { pieces, isWhole: true };
      pieces.push(next.value);
      length += next.value.length;
    }
    return { pieces, isWhole: false };
  } catch (error) {
    await body.close();
    throw error;
  }
}

export interface WriteOptions {
  readonly encoding: Encoding | undefined;
  /** Says what was broken off. */
  readonly queryId: string;
  readonly log: Logger;
  readonly stalledMsMax?: number;
}

const defaultStalledMsMax = 60_000;

/** Takes the reply over; what comes of it is nobody's to wait for. */
export function writeBody(start: BodyStart, body: Body, reply: FastifyReply, options: WriteOptions): void {
  const { encoding, queryId, log, stalledMsMax = defaultStalledMsMax } = options;
  reply.hijack();
  const { raw } = reply;
  // Whatever becomes of the reply: what has begun must be ended, also when nobody takes the rest, or is there to take any.
  const end = () => {
    // A loop is between two pieces when it waits for the client, and ends by itself.
    void body.pieces.return(undefined).catch(() => undefined);
    void body.close();
  };
  raw.once('close', end);
  if (raw.destroyed) end();
  writeHead(body, reply, encoding);
  if (reply.request.method === 'HEAD') {
    raw.end();
    return;
  }
  if (encoding === undefined && start.isWhole) {
    raw.cork();
    for (const piece of start.pieces) raw.write(piece);
    finish(body, raw);
    return;
  }
  const pieces = withStart(start, body);
  const bytes =
    encoding === undefined ? pieces : compress(Readable.from(pieces, { objectMode: false }), encoding);
  writeAll(bytes, raw, { signal: body.signal, stalledMsMax }).then(
    () => finish(body, raw),
    (error: unknown) => {
      // The status has been sent: the log is the only place left for the reason.
      log.warn({ query_id: queryId, reason: messageOf(error) }, 'an answer was broken off');
      // Whoever sees the break asks `/api/v1/queries` for the reason: it must stand there by then.
      void body
        .close()
        .catch(() => undefined)
        .then(() => {
          breakOff(raw);
        });
    },
  );
}

function writeHead(body: Body, reply: FastifyReply, encoding: Encoding | undefined): void {
  const headers = reply.getHeaders() as OutgoingHttpHeaders;
  if (encoding !== undefined) headers['content-encoding'] = encoding;
  if (knowsTrailers(reply.raw)) headers['trailer'] = Object.keys(body.trailers).join(', ');
  reply.raw.writeHead(200, headers);
}

/** HTTP/1.0 knows neither chunks nor what stands behind them, and the answer to HEAD ends before. */
function knowsTrailers({ req: { httpVersion, method } }: ServerResponse): boolean {
  return httpVersion !== '1.0' && method !== 'HEAD';
}

/** In the write of the last bytes, whose end uncorks. */
function finish(body: Body, raw: ServerResponse): void {
  raw.cork();
  if (knowsTrailers(raw))
    raw.addTrailers(
      Object.fromEntries(Object.entries(body.trailers).map(([name, value]) => [name, value()])),
    );
  raw.end();
}

/** JSON lines end with the reason, which still reaches the client where it reads on. */
const lastWordsMs = 5_000;

function breakOff(raw: ServerResponse): void {
  const timer = setTimeout(() => raw.destroy(), lastWordsMs);
  raw.once('close', () => {
    clearTimeout(timer);
  });
  if (raw.socket) raw.socket.destroySoon();
  else raw.destroy();
}

interface Patience {
  readonly signal: AbortSignal | undefined;
  readonly stalledMsMax: number;
}

/** @throws the reason of the signal, or that the client takes nothing */
async function writeAll(
  bytes: AsyncIterable<Uint8Array>,
  raw: ServerResponse,
  patience: Patience,
): Promise<void> {
  for await (const piece of bytes) {
    if (raw.destroyed) return;
    if (!raw.write(piece)) await drained(raw, patience);
  }
}

/** Also where nobody takes anything any more. */
function drained(raw: ServerResponse, { signal, stalledMsMax }: Patience): Promise<void> {
  if (raw.destroyed) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const settle = (failure?: Error) => {
      clearTimeout(timer);
      raw.off('drain', onDone).off('close', onDone);
      signal?.removeEventListener('abort', onAbort);
      if (failure) reject(failure);
      else resolve();
    };
    const onDone = () => {
      settle();
    };
    const onAbort = () => {
      settle(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      settle(new Error(`the client took nothing for ${stalledMsMax / 1_000} s`));
    }, stalledMsMax);
    raw.on('drain', onDone).on('close', onDone);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
  });
}

async function* withStart({ pieces, isWhole }: BodyStart, body: Body): AsyncGenerator<Uint8Array> {
  yield* pieces;
  if (!isWhole) yield* body.pieces;
}
