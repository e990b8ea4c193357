/**
 * `GET /api/v1/tables/{table}/series?match=device:dev-*&limit=&cursor=`: the series of a table, with the time of their newest row.
 * `GET /api/v1/tables/{table}/values/{column}?start=&end=&limit=`: the values of a tag in all time, of a field in a window (by
 * default the last day), most frequent first.
 */
import type { FastifyInstance, FastifyReply } from './http-server.js';
import { timeColumnName } from '@varve/common/contract/columns.js';
import { z } from 'zod';
import { shownFields } from '../delta/shown-fields.js';
import type { Snapshot } from '../delta/snapshot.js';
import { quoteName } from '../delta/sql-text.js';
import { mergedColumns, mergedTags } from '../query/merge-partials.js';
import { timestampText } from '../query/time-text.js';
import { rowsInOrder } from '../sensors/latest-answer.js';
import { latestSql } from '../sensors/latest-sql.js';
import { instant } from '../sensors/plan-range.js';
import { pageOfSeries, valuesOfTag, type KnownSeries, type TagMatch } from '../sensors/series-list.js';
import { SqlParams } from '../sensors/sql-params.js';
import { badParam, checkParams } from './check-params.js';
import { collectRows } from './collect-rows.js';
import type { LatestSources } from './latest-routes.js';
import { readWindow } from './range-request.js';
import { requireTable } from './table-request.js';

const limitExpected = 'must be a whole number from 1 to 10000';
const limit = z.coerce
  .number(limitExpected)
  .int(limitExpected)
  .min(1, limitExpected)
  .max(10_000, limitExpected)
  .default(1_000);
const matchesMax = 20;
const seriesMax = 500_000;

export const seriesSchema = z.strictObject({
  match: z
    .union([z.string(), z.array(z.string()).max(matchesMax)], {
      error: `must be such as device:dev-*, at most ${matchesMax} of them`,
    })
    .optional(),
  limit,
  cursor: z.string({ error: 'must be the next_cursor of another page' }).optional(),
});
export const valuesSchema = z.strictObject({
  start: z.string({ error: 'must be a time' }).optional(),
  end: z.string({ error: 'must be a time' }).optional(),
  limit,
});

export function addSeriesRoutes(server: FastifyInstance, sources: LatestSources): void {
  const find = (label: string) => requireTable(sources.catalog.current(), label);
  server.get<{ Params: { table: string } }>(
    '/api/v1/tables/:table/series',
    async ({ params, query }, reply) => {
      const snapshot = find(params.table);
      const given = checkParams(seriesSchema, query);
      const tags = tagsOf(snapshot);
      const after = readCursor(given.cursor);
      const matches = [given.match ?? []].flat().map((text) => readMatch(text, tags));
      const all = await knownSeries(snapshot, sources, reply);
      const { page, total } = pageOfSeries(all, matches, after, given.limit);
      const next = after + page.length;
      return {
        table: params.table,
        series_count: total,
        series: page.map(({ values, lastTime }) => ({
          tags: Object.fromEntries(tags.map((tag, index) => [tag, values[index] ?? null])),
          last_time: lastTime,
        })),
        next_cursor: next < total ? String(next) : null,
      };
    },
  );
  server.get<{ Params: { table: string; column: string } }>(
    '/api/v1/tables/:table/values/:column',
    async ({ params, query }, reply) => {
      const snapshot = find(params.table);
      const given = checkParams(valuesSchema, query);
      const column = params.column.toLowerCase();
      const tag = tagsOf(snapshot).indexOf(column);
      const values =
        tag >= 0 && given.start === undefined && given.end === undefined
          ? valuesOfTag(await knownSeries(snapshot, sources, reply), tag)
          : await valuesInWindow(snapshot, column, given, sources, reply);
      return {
        table: params.table,
        column,
        values: values.slice(0, given.limit),
        truncated: values.length > given.limit,
      };
    },
  );
}

function tagsOf({ columns, aggregate }: Snapshot): string[] {
  return (aggregate ? mergedTags(columns) : columns.tags).map(({ name }) => name);
}

function readCursor(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^\d{1,9}$/.test(text)) throw badParam('cursor', 'must be the next_cursor of another page');
  return Number(text);
}

function readMatch(text: string, tags: readonly string[]): TagMatch {
  const colon = text.indexOf(':');
  const tag = tags.indexOf(text.slice(0, Math.max(0, colon)).toLowerCase());
  if (tag < 0)
    throw badParam(
      'match',
      'must be a tag, a colon and a pattern',
      `such as device:dev-*; the tags are ${tags.join(', ')}`,
    );
  return { tag, pattern: text.slice(colon + 1) };
}

async function knownSeries(
  snapshot: Snapshot,
  sources: LatestSources,
  reply: FastifyReply,
): Promise<KnownSeries[]> {
  const tags = tagsOf(snapshot);
  const newest = await sources.newestRows(snapshot.name);
  if (newest)
    return rowsInOrder(newest, tags).map(({ tags: values, timeUs }) => ({
      values: tags.map((tag) => values[tag] ?? null),
      lastTime: timestampText(BigInt(timeUs), 1_000_000) ?? '',
    }));
  const question = { tagValues: new Map(), fields: [], staleAfterMs: undefined, rowsMax: seriesMax };
  const request = { ...latestSql(snapshot, question, sources.clock.nowMs()), rowsMax: seriesMax };
  const { rows } = await collectRows(sources.engine, request, clientOf(reply));
  return rows.map(([time, ...cells]) => ({
    values: tags.map((_, index) => (cells[index] ?? null) as string | null),
    lastTime: String(time),
  }));
}

async function valuesInWindow(
  snapshot: Snapshot,
  column: string,
  given: z.output<typeof valuesSchema>,
  { engine, clock }: LatestSources,
  reply: FastifyReply,
): Promise<object[]> {
  const { columns, aggregate, name } = snapshot;
  const fields = (aggregate ? mergedColumns(columns, aggregate) : shownFields(columns)).map(
    (field) => field.name,
  );
  const known = [...tagsOf(snapshot), ...fields];
  if (!known.includes(column))
    throw badParam('column', `there is no ${column.slice(0, 100)}`, `there are ${known.join(', ')}`);
  const { startMs, endMs } = readWindow({ start: '-1d', ...given }, clock.nowMs());
  const params = new SqlParams();
  const [time, value] = [quoteName(timeColumnName), quoteName(column)];
  const sql =
    `SELECT ${value} AS value, count(*) AS rows FROM ${quoteName(name.database)}.${quoteName(name.table)} ` +
    `WHERE ${time} >= ${instant(startMs, params)} AND ${time} < ${instant(endMs, params)} AND ${value} IS NOT NULL ` +
    `GROUP BY ${value} ORDER BY rows DESC, value`;
  const request = { sql, params: params.values, rowsMax: given.limit + 1 };
  const found = await collectRows(engine, request, clientOf(reply));
  return found.rows.map(([cell, rows]) => ({ value: cell, rows }));
}

function clientOf(reply: FastifyReply): AbortSignal {
  const client = new AbortController();
  reply.raw.once('close', () => client.abort());
  return client.signal;
}
