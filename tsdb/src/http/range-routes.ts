/**
 * `GET /api/v1/tables/{table}/range`, `/api/v1/range?table=`: what was measured between two instants, without SQL. Answered as
 * `/api/v1/query` answers: in every format, streamed, with `ETag`, `dry_run` and `explain`.
 */
import type { Clock } from '@varve/common/clock.js';
import type { FastifyInstance, FastifyReply, FastifyRequest } from './http-server.js';
import type { Logger } from '@varve/common/log.js';
import type { Snapshot, TableCatalog } from '../delta/snapshot.js';
import type { QueryEngine, QueryPlan } from '../query/query-engine.js';
import { RangeMemory } from '../sensors/kept-days/range-memory.js';
import { acceptedFormat } from './answer-format.js';
import { badParam } from './check-params.js';
import { KnownQuestions } from './known-questions.js';
import { answerQuery, type CompleteUntil } from './query-routes.js';
import { readRange, readRangeForm, type RangeForm } from './range-request.js';
import { requireTableAsOf } from './table-request.js';

export interface RangeSources {
  readonly catalog: TableCatalog;
  readonly engine: QueryEngine;
  readonly clock: Clock;
  readonly log: Logger;
  readonly completeUntil?: CompleteUntil;
}

export function addRangeRoutes(server: FastifyInstance, sources: RangeSources): void {
  const { catalog, clock, engine, log, completeUntil } = sources;
  const memory = new RangeMemory(sources);
  const forms = new RangeForms();
  const answerRange = async (label: string, request: FastifyRequest, reply: FastifyReply) => {
    const query = request.query as Record<string, unknown>;
    const { snapshot } = await requireTableAsOf(catalog, label, query);
    const form = forms.of(snapshot, request);
    const asked = readRange(form, query, clock.nowMs());
    const known = (plan: QueryPlan, client: AbortSignal) => memory.answer(plan, asked.question, client);
    return await answerQuery({ ...asked, known }, engine, request, reply, log, completeUntil);
  };
  server.get<{ Params: { table: string } }>('/api/v1/tables/:table/range', (request, reply) =>
    answerRange(request.params.table, request, reply),
  );
  server.get('/api/v1/range', (request, reply) => {
    const { table } = request.query as { table?: unknown };
    if (typeof table !== 'string')
      throw badParam('table', 'is missing', 'such as /api/v1/range?table=environment');
    return answerRange(table, request, reply);
  });
}

/** Forms that were read before, as long as the table is the same. */
class RangeForms {
  readonly #known = new WeakMap<Snapshot, KnownQuestions<RangeForm>>();

  of(snapshot: Snapshot, { url, headers: { accept = '' }, query }: FastifyRequest): RangeForm {
    const known = this.#known.get(snapshot) ?? new KnownQuestions<RangeForm>();
    this.#known.set(snapshot, known);
    // A form that has one start has one with any other.
    return known.of(`${accept} ${withoutWindow(url)}`, () =>
      readRangeForm(snapshot, query as Record<string, unknown>, () => acceptedFormat(accept)),
    );
  }
}

/** A value may have `?start=` in it. */
function withoutWindow(url: string): string {
  return url.slice(url.indexOf('?') + 1).replaceAll(/(^|&)(start|end)=[^&]*/g, '$1$2=');
}
