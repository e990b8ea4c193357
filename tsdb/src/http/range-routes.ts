/**
 * `GET /api/v1/tables/{table}/range`, `/api/v1/range?table=`: what was measured between two instants, without SQL. Answered as
 * `/api/v1/query` answers: in every format, streamed, with `ETag`, `dry_run` and `explain`.
 */
import type { Clock } from '@varve/common/clock.js';
import type { FastifyInstance, FastifyReply, FastifyRequest } from './http-server.js';
import type { Logger } from '@varve/common/log.js';
import type { TableCatalog } from '../delta/snapshot.js';
import type { QueryEngine, QueryPlan } from '../query/query-engine.js';
import { RangeMemory } from '../sensors/kept-days/range-memory.js';
import { acceptedFormat } from './answer-format.js';
import { badParam } from './check-params.js';
import { answerQuery, type CompleteUntil } from './query-routes.js';
import { readRange } from './range-request.js';
import { requireTableAsOf } from './table-request.js';

export interface RangeSources {
  readonly catalog: TableCatalog;
  readonly engine: QueryEngine;
  readonly clock: Clock;
  readonly log: Logger;
  readonly completeUntil?: CompleteUntil;
}

export function addRangeRoutes(server: FastifyInstance, sources: RangeSources): void {
  const memory = new RangeMemory(sources);
  server.get<{ Params: { table: string } }>('/api/v1/tables/:table/range', (request, reply) =>
    answerRange(request.params.table, sources, memory, request, reply),
  );
  server.get('/api/v1/range', (request, reply) => {
    const { table } = request.query as { table?: unknown };
    if (typeof table !== 'string')
      throw badParam('table', 'is missing', 'such as /api/v1/range?table=environment');
    return answerRange(table, sources, memory, request, reply);
  });
}

async function answerRange(
  label: string,
  { catalog, clock, engine, log, completeUntil }: RangeSources,
  memory: RangeMemory,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const query = request.query as Record<string, unknown>;
  const { snapshot } = await requireTableAsOf(catalog, label, query);
  const asked = readRange(snapshot, query, clock.nowMs(), () => acceptedFormat(request.headers.accept));
  const known = (plan: QueryPlan, client: AbortSignal) => memory.answer(plan, asked.question, client);
  return await answerQuery({ ...asked, known }, engine, request, reply, log, completeUntil);
}
