/**
 * `GET /api/v1/tables/{table}/completeness`: until when the table has everything, agent by agent.
 * `GET /api/v1/tables/{table}/gaps?start=&end=&min=30s`: holes in its series, and whose doing they are (`sensors/judge-gap.ts`).
 */
import type { Clock } from '@varve/common/clock.js';
import { durationMs } from '@varve/common/config/units.js';
import type { FastifyInstance, FastifyReply } from './http-server.js';
import { z } from 'zod';
import type { Snapshot, TableCatalog } from '../delta/snapshot.js';
import { findTable } from '../query/find-table.js';
import { mergedTags } from '../query/merge-partials.js';
import type { QueryEngine } from '../query/query-engine.js';
import { completeUntilMs, type AgentCompleteness } from '../sensors/complete-until.js';
import { gapsSql, lossesSql } from '../sensors/gap-sql.js';
import { judgeGap, openGapEndMs, type AgentLoss } from '../sensors/judge-gap.js';
import { checkParams } from './check-params.js';
import { collectRows, type JsonCell } from './collect-rows.js';
import type { Completeness } from './completeness.js';
import { readWindow } from './range-request.js';
import { requireTable, splitTags } from './table-request.js';

export interface CompletenessRouteSources {
  readonly catalog: TableCatalog;
  readonly engine: QueryEngine;
  readonly clock: Clock;
  readonly completeness: Completeness;
}

const gapsMaxLimit = 10_000;
const lossesMax = 10_000;
const maxExpected = `must be a whole number from 1 to ${gapsMaxLimit}`;
const losses = { database: 'main', table: 'varve_losses' };

export const gapsSchema = z.strictObject({
  start: z.string({ error: 'must be a time' }).optional(),
  end: z.string({ error: 'must be a time' }).optional(),
  min: durationMs({ minMs: 1, maxMs: 1e15 }).prefault('30s'),
  max_rows: z.coerce
    .number(maxExpected)
    .int(maxExpected)
    .min(1, maxExpected)
    .max(gapsMaxLimit, maxExpected)
    .default(1_000),
});
export const noParams = z.strictObject({});

export function addCompletenessRoutes(server: FastifyInstance, sources: CompletenessRouteSources): void {
  const { catalog, completeness } = sources;
  server.get<{ Params: { table: string } }>(
    '/api/v1/tables/:table/completeness',
    async ({ params, query }) => {
      const snapshot = requireTable(catalog.current(), params.table);
      checkParams(noParams, query);
      const agents = await completeness.of(snapshot);
      return {
        table: params.table,
        version: snapshot.version,
        complete_until: timeText(completeUntilMs(agents)),
        agents: agents.map(showAgent),
      };
    },
  );
  server.get<{ Params: { table: string } }>(
    '/api/v1/tables/:table/gaps',
    async ({ params, query }, reply) => {
      const snapshot = requireTable(catalog.current(), params.table);
      return {
        table: params.table,
        ...(await findGaps(snapshot, query as Record<string, unknown>, sources, reply)),
      };
    },
  );
}

async function findGaps(
  snapshot: Snapshot,
  query: Readonly<Record<string, unknown>>,
  { catalog, engine, clock, completeness }: CompletenessRouteSources,
  reply: FastifyReply,
): Promise<object> {
  const { columns, aggregate, name } = snapshot;
  const tags = (aggregate ? mergedTags(columns) : columns.tags).map((tag) => tag.name);
  const { tagValues, others } = splitTags(query, tags, Object.keys(gapsSchema.shape));
  const given = checkParams(gapsSchema, others, tags);
  const nowMs = clock.nowMs();
  const window = readWindow(given, nowMs);
  const client = new AbortController();
  reply.raw.once('close', () => client.abort());
  const agents = await completeness.of(snapshot);
  const untilMs = completeUntilMs(agents);
  const question = { ...name, tags, fields: [], tagValues, ...window, nowMs: openGapEndMs(untilMs, nowMs) };
  const found = await collectRows(
    engine,
    { ...gapsSql(question, given.min), rowsMax: given.max_rows },
    client.signal,
  );
  const tables = catalog.current();
  const ledger = findTable(tables, losses.database, losses.table);
  const streams = tables
    .filter((other) => other.name.database === name.database)
    .map((other) => other.name.table);
  const lost = ledger
    ? await collectRows(
        engine,
        { ...lossesSql(ledger, name.table, streams, window), rowsMax: lossesMax },
        client.signal,
      )
    : { rows: [] };
  const known = lost.rows.map(toLoss);
  return {
    complete_until: timeText(untilMs),
    gaps: found.rows.map((cells) => showGap(cells, tags, agents, known, nowMs)),
    truncated: found.isTruncated,
  };
}

function toLoss([agent, kind, fromMs, toMs]: readonly JsonCell[]): AgentLoss {
  return { agent: String(agent), kind: String(kind), fromMs: Number(fromMs), toMs: Number(toMs) };
}

function showGap(
  cells: readonly JsonCell[],
  tags: readonly string[],
  agents: readonly AgentCompleteness[],
  losses: readonly AgentLoss[],
  nowMs: number,
): object {
  const [from, to] = cells.slice(tags.length).map(String);
  const gap = { fromMs: Date.parse(from ?? ''), toMs: Date.parse(to ?? '') };
  return {
    tags: Object.fromEntries(tags.map((tag, index) => [tag, cells[index] ?? null])),
    from,
    to,
    seconds: Math.round(gap.toMs - gap.fromMs) / 1_000,
    ...judgeGap(gap, agents, losses, nowMs),
  };
}

function showAgent({ agent, untilMs, report, missing }: AgentCompleteness): object {
  return {
    agent,
    complete_until: timeText(untilMs),
    heard: timeText(report?.heardMs),
    ...(missing && {
      missing_shipments: {
        from: missing.awaitedSeq,
        before: missing.firstWaitingSeq,
        since: timeText(missing.sinceMs),
      },
    }),
    disconnected: (report?.disconnected ?? []).map(({ source, sinceMs }) => ({
      source,
      since: timeText(sinceMs),
    })),
  };
}

function timeText(ms: number | undefined): string | null {
  return ms === undefined || !Number.isFinite(ms) ? null : new Date(Math.round(ms)).toISOString();
}
