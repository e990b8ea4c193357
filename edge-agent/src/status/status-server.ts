/**
 * The agent's HTTP server: `/status`, `/dead-letters`, `/metrics`, `/healthz`. Read only; loopback unless told otherwise.
 */
import { z } from 'zod';
import { Failure } from '@varve/common/errors.js';
import { createHttpServer, type FastifyInstance } from '@varve/common/http-server.js';
import type { Logger } from '@varve/common/log.js';
import type { Registry } from '@varve/common/metrics.js';
import type { DeadLetter, EdgeLog } from '../log/edge-log.js';
import { readStatus, type StatusSources } from './status.js';

const deadLettersQuery = z.strictObject({ limit: z.coerce.number().int().min(1).max(1_000).default(100) });

export interface StatusServerOptions {
  readonly logger: Logger;
  readonly registry: Registry;
  readonly log: Pick<EdgeLog, 'deadLetters'>;
  readonly status: StatusSources;
}

export function createStatusServer({ logger, registry, log, status }: StatusServerOptions): FastifyInstance {
  const server = createHttpServer({ log: logger, registry, bodyBytesMax: 1_024 });
  server.get('/status', () => readStatus(status));
  server.get('/dead-letters', async (request) => {
    const query = deadLettersQuery.safeParse(request.query);
    if (!query.success)
      throw new Failure('bad_param', `limit: ${query.error.issues[0]?.message ?? 'is wrong'}`, {
        hint: 'GET /dead-letters?limit=100, from 1 to 1000',
      });
    return { dead_letters: (await log.deadLetters(query.data.limit)).map(toJson) };
  });
  // Gauges are read when they are asked for, not in between.
  server.addHook('onRequest', async (request) => {
    if (request.url === '/metrics') await readStatus(status);
  });
  return server;
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
