/**
 * The agent's HTTP server: `/status`, `/dead-letters`, `/metrics`, `/healthz`, `/tail`. Loopback unless told otherwise, and in any
 * case for `/tail`, which hands out what sensors send, and for `POST /dead-letters/replay`, the one thing that is not read only.
 */
import { isIP } from 'node:net';
import { Failure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { Registry } from '@varve/common/metrics.js';
import type { DeadLetter, EdgeLog } from '../log/edge-log.js';
import type { LetterReplayer, ReplayQuestion } from '../replay/replay-letters.js';
import type { LiveTail } from './live-tail.js';
import { answerJson, createLocalHttpServer, type LocalHttpServer, type LocalRequest } from './local-http.js';
import { readStatus, type StatusSources } from './status.js';

const lettersDefault = 100;
const lettersMax = 1_000;

export interface StatusServerOptions {
  readonly logger: Logger;
  readonly registry: Registry;
  readonly log: Pick<EdgeLog, 'deadLetters'>;
  readonly status: StatusSources;
  readonly tail: Pick<LiveTail, 'watch' | 'close'>;
  readonly replayer: Pick<LetterReplayer, 'replay'>;
}

export function createStatusServer({
  logger,
  registry,
  log,
  status,
  tail,
  replayer,
}: StatusServerOptions): LocalHttpServer {
  const closing = new AbortController();
  const server = createLocalHttpServer(
    {
      'GET /healthz': () => answerJson({ status: 'ok' }),
      'GET /status': async () => answerJson(await readStatus(status)),
      'GET /metrics': async () => {
        // Gauges are read when they are asked for, not in between.
        await readStatus(status);
        return { type: registry.contentType, body: await registry.metrics() };
      },
      'GET /dead-letters': async ({ params }) => {
        return answerJson({ dead_letters: (await log.deadLetters(readLimit(params))).map(toJson) });
      },
      'GET /tail': (request) => {
        requireLocal(request);
        return { type: 'application/jsonl', body: tail.watch(request.params.get('stream') ?? undefined) };
      },
      'POST /dead-letters/replay': async (request) => {
        requireLocal(request);
        requireProgram(request);
        return answerJson(await replayer.replay(readQuestion(await request.readJson()), closing.signal));
      },
    },
    logger,
  );
  return {
    listen: (address, option) => server.listen(address, option),
    close: () => {
      // Before the server waits for its answers to end.
      closing.abort();
      tail.close();
      return server.close();
    },
  };
}

/** By hand: zod would be 6 MB for this one number. @throws Failure `bad_param` */
function readLimit(params: URLSearchParams): number {
  const limit = params.get('limit') ?? String(lettersDefault);
  const count = /^\d+$/.test(limit) ? Number(limit) : 0;
  const isAlone = params.size === (params.has('limit') ? 1 : 0);
  if (count >= 1 && count <= lettersMax && isAlone) return count;
  throw new Failure('bad_param', `the only parameter is limit, a whole number from 1 to ${lettersMax}`, {
    hint: `GET /dead-letters?limit=${lettersDefault}`,
  });
}

/** @throws Failure `bad_param` */
function readQuestion(body: unknown): ReplayQuestion {
  const { stream, dry_run = false, ...others } = (body ?? {}) as Readonly<Record<string, unknown>>;
  const isStream = stream === undefined || typeof stream === 'string';
  if (isStream && typeof dry_run === 'boolean' && Object.keys(others).length === 0)
    return { stream, isDryRun: dry_run };
  throw new Failure('bad_param', 'what may be said is stream, a name, and dry_run, true or false', {
    hint: '{"stream": "environment", "dry_run": true}',
  });
}

function toJson({ seq, source, topic, payload, code, reason, arrivedMs }: DeadLetter) {
  const text = Buffer.from(payload).toString('utf8');
  const isText = Buffer.from(text).equals(payload);
  return {
    seq,
    source,
    topic,
    arrived: new Date(arrivedMs).toISOString(),
    code,
    reason,
    ...(isText ? { payload: text } : { payload_base64: Buffer.from(payload).toString('base64') }),
  };
}

/**
 * From this machine, and not through a name that a web page made point here (DNS rebinding). Other pages cannot read the answer.
 * @throws Failure `not_local`
 */
function requireLocal({ remoteAddress, headers }: LocalRequest): void {
  const isLoopback = remoteAddress === '::1' || /^(::ffff:)?127\./.test(remoteAddress);
  const host = (headers.host ?? '').replace(/:\d*$/, '').replace(/^\[|\]$/g, '');
  if (isLoopback && (host === 'localhost' || isIP(host) !== 0)) return;
  throw new Failure('not_local', 'what sensors send is shown, and replayed, on the gateway itself only', {
    hint: 'run "varve-edge tail" there, by ssh',
  });
}

/**
 * Not by a page in somebody's browser: those send where they come from, and JSON only after they were allowed to.
 * @throws Failure `not_local`, `bad_param`
 */
function requireProgram({ headers }: LocalRequest): void {
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined)
    throw new Failure('not_local', 'a web page may not do this', {
      hint: 'run "varve-edge tail --replay-dead" on the gateway',
    });
  if (!/^application\/json\b/.test(headers['content-type'] ?? ''))
    throw new Failure('bad_param', 'the question must be JSON', {
      hint: 'send content-type: application/json, and {} for everything',
    });
}
