/**
 * A question of `/api/v1/range` as one SELECT with bound values. Pure.
 *
 * 1. `source`: the rows of the window and of its look-back (see 4), tags as `t0`, `t1`, …, fields as `f0`, `f1`, …, so that no
 *    name of ours meets one of the table's. Names are the table's own, and quoted; everything that a client sends is bound.
 * 2. Without `every` these rows are the answer. `max_points` keeps of each series whole rows: the first, the last and the
 *    extremes of each numeric field in every pixel, where a series has more rows than that.
 * 3. With `every`, one row per series and bucket. Any `fill` but `none` lays them on a grid of all buckets up to now, of every
 *    series with a row in the window or a value before it.
 * 4. `previous` and `linear` start from the last value of each field before the window (`seed`), at most `lookBackMs` before.
 *    Nothing is filled across more than `maxGapMs` between two measured values.
 */
import { timeColumnName, type FieldType } from '@varve/common/contract/columns.js';
import { quoteName } from '../delta/sql-text.js';
import type { ParamValue } from '../query/bind-params.js';
import type { RangeAggregate } from './range-aggregates.js';
import { bucketsSql } from './range-buckets.js';
import { SqlParams, tagConditions } from './sql-params.js';

export interface RangeField {
  readonly name: string;
  readonly type: FieldType;
}

export type Fill = 'none' | 'null' | 'previous' | 'linear' | number;

/** Fixed, or of the calendar. */
export type BucketWidth = { readonly us: number } | { readonly months: number };

export interface RangeQuestion {
  readonly database: string;
  readonly table: string;
  readonly tags: readonly string[];
  readonly fields: readonly RangeField[];
  readonly tagValues: ReadonlyMap<string, readonly string[]>;
  /** Inclusive. */
  readonly startMs: number;
  /** Exclusive. */
  readonly endMs: number;
  readonly nowMs: number;
  readonly buckets?: RangeBuckets | undefined;
  readonly pointsMax?: number | undefined;
}

export interface RangeBuckets {
  readonly width: BucketWidth;
  /** Days and months are of this zone. */
  readonly timeZone: string;
  readonly aggregates: readonly RangeAggregate[];
  readonly fill: Fill;
  readonly maxGapMs: number | undefined;
  readonly lookBackMs: number;
}

export interface RangePlan {
  readonly sql: string;
  readonly params: readonly ParamValue[];
}

export function planRange(question: RangeQuestion): RangePlan {
  const params = new SqlParams();
  const { buckets } = question;
  const sql = buckets ? rowPerBucketSql(question, buckets, params) : rowsSql(question, params);
  return { sql, params: params.values };
}

/** `moment`, `k`, `t0` …, `f0` …. */
export function sourceSql(
  { database, table, tags, fields, tagValues }: RangeQuestion,
  params: SqlParams,
  [startMs, endMs]: readonly [number, number],
): string {
  const columns = [
    `${quoteName(timeColumnName)} AS moment`,
    '0 AS k',
    ...tags.map((name, index) => `${quoteName(name)} AS t${index}`),
    ...fields.map(({ name }, index) => `${quoteName(name)} AS f${index}`),
  ];
  const conditions = [
    `${quoteName(timeColumnName)} >= ${instant(startMs, params)}`,
    `${quoteName(timeColumnName)} < ${instant(endMs, params)}`,
    ...tagConditions(tagValues, params),
  ];
  return `SELECT ${columns.join(', ')} FROM ${quoteName(database)}.${quoteName(table)} WHERE ${conditions.join(' AND ')}`;
}

/** As text: files are chosen by it before DuckDB sees it. */
export function instant(ms: number, params: SqlParams): string {
  const text = new Date(Math.floor(ms)).toISOString();
  const digits = Math.round((ms - Math.floor(ms)) * 1_000);
  return `${params.add(text.replace('Z', `${String(digits).padStart(3, '0')}Z`))}::TIMESTAMPTZ`;
}

function rowsSql(question: RangeQuestion, params: SqlParams): string {
  const { tags, fields, pointsMax } = question;
  const source = sourceSql(question, params, [question.startMs, question.endMs]);
  const tagColumns = tags.map((_, index) => `t${index}`);
  const shown = [
    `moment AS ${quoteName(timeColumnName)}`,
    ...tags.map((name, index) => `t${index} AS ${quoteName(name)}`),
    ...fields.map(({ name }, index) => `f${index} AS ${quoteName(name)}`),
  ].join(', ');
  const order = `ORDER BY ${[...tagColumns, 'moment'].join(', ')}`;
  if (pointsMax === undefined) return `WITH source AS (${source}) SELECT ${shown} FROM source ${order}`;
  const extremes = fields.flatMap(({ type }, index) =>
    type === 'string'
      ? []
      : [`arg_min(moment, f${index}) OVER pixel`, `arg_max(moment, f${index}) OVER pixel`],
  );
  const kept = ['min(moment) OVER pixel', 'max(moment) OVER pixel', ...extremes];
  const pixels = Math.max(1, Math.floor(pointsMax / kept.length));
  const widthUs = Math.max(1, Math.ceil(((question.endMs - question.startMs) * 1_000) / pixels));
  const pixel = `(epoch_us(moment) - epoch_us(${instant(question.startMs, params)})) // ${params.add(widthUs)}`;
  const series = tagColumns.length === 0 ? '()' : `(PARTITION BY ${tagColumns.join(', ')})`;
  return (
    `WITH source AS (${source}), placed AS (SELECT *, ${pixel} AS place FROM source) SELECT ${shown} FROM placed ` +
    `WINDOW pixel AS (PARTITION BY ${[...tagColumns, 'place'].join(', ')}) ` +
    `QUALIFY count(*) OVER ${series} <= ${params.add(pointsMax)} OR moment IN (${kept.join(', ')}) ${order}`
  );
}

function rowPerBucketSql(question: RangeQuestion, buckets: RangeBuckets, params: SqlParams): string {
  const columns = resultColumns(question.fields, buckets.aggregates);
  const [withSql, from] = bucketsSql({ question, buckets, params, columns });
  const shown = [
    `bucket AS ${quoteName(timeColumnName)}`,
    ...question.tags.map((name, index) => `t${index} AS ${quoteName(name)}`),
    ...columns.map(({ name }, index) => `a${index} AS ${quoteName(name)}`),
  ].join(', ');
  const order = [...question.tags.map((_, index) => `t${index}`), 'bucket'].join(', ');
  return `WITH ${withSql} SELECT ${shown} FROM ${from} ORDER BY ${order}`;
}

/** One per field and aggregate that can take it: `temp_avg`. */
export interface ResultColumn {
  readonly name: string;
  /** Of `f0`, `f1`, …. */
  readonly field: number;
  readonly type: FieldType;
  readonly aggregate: RangeAggregate;
}

export function resultColumns(
  fields: readonly RangeField[],
  aggregates: readonly RangeAggregate[],
): ResultColumn[] {
  return fields.flatMap(({ name, type }, field) =>
    aggregates
      .filter(({ takesText }) => takesText || type !== 'string')
      .map((aggregate) => ({ name: `${name}_${aggregate.name}`, field, type, aggregate })),
  );
}
