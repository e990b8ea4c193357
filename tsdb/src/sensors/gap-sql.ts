/**
 * Holes in series, and what agents have lost, in SQL with bound values. Pure.
 */
import { timeColumnName } from '@varve/common/contract/columns.js';
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

/** `agent, kind, first_ms, last_ms` of losses that touch the window. @param table of the loss ledger */
export function lossesSql(
  table: { readonly database: string; readonly table: string },
  startMs: number,
  endMs: number,
): RangePlan {
  const params = new SqlParams();
  const sql =
    `SELECT agent, kind, first_ms, last_ms FROM ${quoteName(table.database)}.${quoteName(table.table)} ` +
    `WHERE ${quoteName(timeColumnName)} >= ${instant(startMs, params)} AND first_ms <= ${params.add(Math.ceil(endMs))} ` +
    `AND last_ms >= ${params.add(Math.floor(startMs))} ORDER BY ${quoteName(timeColumnName)}`;
  return { sql, params: params.values };
}
