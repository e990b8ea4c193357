/**
 * Holes in series, and what agents have lost, in SQL with bound values. Pure.
 */
import { timeColumnName } from '@varve/common/contract/columns.js';
import type { Snapshot } from '../delta/snapshot.js';
import { quoteName } from '../delta/sql-text.js';
import { instant, sourceSql, type RangePlan, type RangeQuestion } from './plan-range.js';
import { SqlParams } from './sql-params.js';

/**
 * Longest first: tags, from (the last row before it), to (the first row behind it, or `nowMs` or the end of the window). The time before a
 * series' first row in the window is no gap of it.
 */
export function gapsSql(question: RangeQuestion, minMs: number): RangePlan {
  const params = new SqlParams();
  const source = sourceSql({ ...question, fields: [] }, params, [question.startMs, question.endMs]);
  const tags = question.tags.map((_, index) => `t${index}`);
  const end = instant(Math.max(question.startMs, Math.min(question.endMs, question.nowMs)), params);
  const partition = tags.length === 0 ? '' : `PARTITION BY ${tags.join(', ')} `;
  const shown = question.tags.map((name, index) => `t${index} AS ${quoteName(name)}`);
  const sql =
    `WITH source AS (${source}), pairs AS (SELECT *, lead(moment, 1, ${end}) OVER (${partition}ORDER BY moment) AS next FROM source) ` +
    `SELECT ${[...shown, 'moment AS gap_from', 'next AS gap_to'].join(', ')} FROM pairs ` +
    `WHERE epoch_ms(next) - epoch_ms(moment) >= ${params.add(minMs)} ORDER BY epoch_ms(next) - epoch_ms(moment) DESC, moment`;
  return { sql, params: params.values };
}

/** The loss ledger as it lies in the lake: a column that no agent has had a value for is not there. */
export type Ledger = Pick<Snapshot, 'name' | 'columns'>;

/** Messages that are in no table; other rows of the ledger tell of clocks, or of dead letters that were counted before. */
const lostKinds = ['evicted', 'dead_letter', 'set_aside'];
/** Where it is not known since when messages are lost, of a damaged file: how long before its end that may have been. */
const unknownStartMs = 86_400_000;

/**
 * `agent, kind, from_ms, to_ms` of losses that touch the window and may concern the table: those of a stream that has a table of its own
 * name do not concern another one, unless that is named after it, as tables of aggregates are.
 *
 * @param tables of the lake
 */
export function lossesSql(
  { name: ledger, columns }: Ledger,
  table: string,
  tables: readonly string[],
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
): RangePlan {
  const params = new SqlParams();
  const known = new Set([...columns.tags, ...columns.fields].map(({ name }) => name));
  const number = (name: string) => (known.has(name) ? quoteName(name) : 'NULL::BIGINT');
  const text = (name: string) => (known.has(name) ? quoteName(name) : 'NULL::VARCHAR');
  const time = quoteName(timeColumnName);
  const to = `coalesce(${number('last_ms')}, epoch_ms(${time}))`;
  const from = `coalesce(${number('first_ms')}, ${to} - ${unknownStartMs})`;
  const others = tables.filter((other) => other !== table && !table.startsWith(`${other}_`));
  const isOurs = others.length === 0 ? 'true' : `coalesce(stream <> ALL(${params.add(others)}), true)`;
  const sql =
    `SELECT agent, kind, from_ms, to_ms FROM (SELECT ${time} AS noted, ${text('agent')} AS agent, ${text('kind')} AS kind, ` +
    `${text('stream')} AS stream, ${number('count')} AS lost, ${from} AS from_ms, ${to} AS to_ms ` +
    `FROM ${quoteName(ledger.database)}.${quoteName(ledger.table)} WHERE ${time} >= ${instant(startMs, params)}) ` +
    `WHERE kind IN (${lostKinds.map((kind) => params.add(kind)).join(', ')}) AND lost > 0 AND ${isOurs} ` +
    `AND from_ms <= ${params.add(Math.ceil(endMs))} AND to_ms >= ${params.add(Math.floor(startMs))} ORDER BY noted`;
  return { sql, params: params.values };
}
