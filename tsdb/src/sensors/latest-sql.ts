/**
 * The newest row of every series in SQL, where no register knows it. Pure. Values are bound; names are the table's own.
 */
import { timeColumnName } from '@varve/common/contract/columns.js';
import { shownFields } from '../delta/shown-fields.js';
import type { Snapshot } from '../delta/snapshot.js';
import { quoteName } from '../delta/sql-text.js';
import { mergedColumns, mergedTags } from '../query/merge-partials.js';
import type { QueryRequest } from '../query/query-engine.js';
import type { LatestQuestion } from './latest-answer.js';
import { SqlParams, tagConditions } from './sql-params.js';

export function latestSql(snapshot: Snapshot, question: LatestQuestion, nowMs: number): QueryRequest {
  const { columns, aggregate, name } = snapshot;
  const params = new SqlParams();
  const tags = (aggregate ? mergedTags(columns) : columns.tags).map((tag) => quoteName(tag.name));
  const fields =
    question.fields ??
    (aggregate ? mergedColumns(columns, aggregate) : shownFields(columns)).map((field) => field.name);
  const time = quoteName(timeColumnName);
  const age = `(epoch_ms(${params.add(new Date(nowMs).toISOString())}::TIMESTAMPTZ) - epoch_ms(${time}))`;
  const stale =
    question.staleAfterMs === undefined ? 'NULL::BOOLEAN' : `${age} > ${params.add(question.staleAfterMs)}`;
  const conditions = tagConditions(question.tagValues, params);
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const partition = tags.length === 0 ? '' : `PARTITION BY ${tags.join(', ')} `;
  const order = tags.length === 0 ? '' : ` ORDER BY ${tags.join(', ')}`;
  return {
    sql:
      `SELECT ${[time, ...tags, ...fields.map(quoteName)].join(', ')}, ${age} AS age_ms, ${stale} AS stale ` +
      `FROM ${quoteName(name.database)}.${quoteName(name.table)}${where} ` +
      `QUALIFY row_number() OVER (${partition}ORDER BY ${time} DESC) = 1${order}`,
    params: params.values,
    rowsMax: question.rowsMax,
  };
}
