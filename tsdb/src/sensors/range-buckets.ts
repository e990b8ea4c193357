/**
 * The SQL of `plan-range.ts` that makes buckets of rows, and fills those without. Pure.
 *
 *     source ─▶ grouped ─┬─▶ buckets ─┐                     a0, a1, … of each bucket with rows
 *                        ├─▶ grid ────┼─▶ laid ─▶ filled    every bucket of every series
 *                        └─▶ seed ────┘                     the last values before the window
 *     source, seed, grid ─▶ averages                        time_avg
 *
 * Where a seed is wanted, the rows of the look-back are in `source` as well, and make the bucket without a time: a second scan for
 * them would be planned anew for every answer, and took as long as all the rest.
 *
 * A series is known by `k`, which is always 0, and its tags: tables without tags need no other SQL. Of each field a bucket also
 * knows when its first and last value were measured (`from0`, `to0`, …): a gap is what lies between two measured values,
 * wherever the buckets begin.
 */
import {
  instant,
  sourceSql,
  type RangeBuckets,
  type RangeQuestion,
  type ResultColumn,
} from './plan-range.js';
import { numberOf } from './range-aggregates.js';
import type { SqlParams } from './sql-params.js';

export interface BucketParts {
  readonly question: RangeQuestion;
  readonly buckets: RangeBuckets;
  readonly params: SqlParams;
  readonly columns: readonly ResultColumn[];
}

/** What stands behind WITH, and what behind FROM: `bucket`, `t0` …, `a0` …. */
export function bucketsSql(parts: BucketParts): readonly [withSql: string, from: string] {
  const { columns, buckets } = parts;
  const hasAverages = columns.some(isTimeAverage);
  const isFilled = buckets.fill !== 'none';
  const hasSeed = hasAverages || buckets.fill === 'previous' || buckets.fill === 'linear';
  const hasGrid = isFilled || hasAverages;
  const grouped = hasSeed
    ? [
        `source AS (${rowsFrom(parts, parts.question.startMs - buckets.lookBackMs)})`,
        `grouped AS (${groupedSql(parts, hasSeed)})`,
        'buckets AS (SELECT * FROM grouped WHERE bucket IS NOT NULL)',
        `seed AS (SELECT ${[...keysOf(parts), ...seedsOf(parts)].join(', ')} FROM grouped WHERE bucket IS NULL)`,
      ]
    : [
        `source AS (${rowsFrom(parts, parts.question.startMs)})`,
        `buckets AS (${groupedSql(parts, hasSeed)})`,
      ];
  const ctes = [
    ...grouped,
    ...(hasGrid ? [`grid AS (${gridSql(parts, hasSeed ? 'grouped' : 'buckets')})`] : []),
    ...(hasAverages ? [`averages AS (${averagesSql(parts)})`] : []),
    `laid AS (${laidSql(parts, { isFilled, hasAverages, hasSeed: hasSeed && isFilled })})`,
    ...(isFilled ? [`filled AS (${filledSql(parts)})`] : []),
  ];
  return [ctes.join(', '), isFilled ? 'filled' : 'laid'];
}

const isTimeAverage = ({ aggregate }: ResultColumn) => aggregate.sql === undefined;

function keysOf({ question }: BucketParts, from = ''): string[] {
  return ['k', ...question.tags.map((_, index) => `t${index}`)].map((name) => `${from}${name}`);
}

/** Numbers of the fields of which something is shown. */
function usedFields({ columns }: BucketParts): number[] {
  return [...new Set(columns.map(({ field }) => field))];
}

function sameSeries(parts: BucketParts, left: string, right: string): string {
  return keysOf(parts)
    .map((key) => `${left}.${key} IS NOT DISTINCT FROM ${right}.${key}`)
    .join(' AND ');
}

function sameBucket(parts: BucketParts, left: string, right: string): string {
  return `${left}.bucket = ${right}.bucket AND ${sameSeries(parts, left, right)}`;
}

function widthSql({ buckets: { width }, params }: BucketParts): string {
  return 'us' in width
    ? `to_microseconds(${params.add(width.us)}::BIGINT)`
    : `to_months(${params.add(width.months)}::INTEGER)`;
}

/** Days of another zone are not always 24 hours long: they are counted on its clocks. */
function bucketOf(time: string, parts: BucketParts): string {
  const { timeZone } = parts.buckets;
  if (timeZone === 'UTC') return `time_bucket(${widthSql(parts)}, ${time})`;
  const zone = parts.params.add(timeZone);
  return `timezone(${zone}, time_bucket(${widthSql(parts)}, timezone(${zone}, ${time})))`;
}

/** Nothing is known of the future. */
function filledToMs({ question: { startMs, endMs, nowMs } }: BucketParts): number {
  return Math.max(startMs, Math.min(endMs, nowMs));
}

function rowsFrom({ question, params }: BucketParts, startMs: number): string {
  return sourceSql(question, params, [startMs, question.endMs]);
}

/** A row per series and bucket. With the seed also one of what is before the window, which has no bucket. */
function groupedSql(parts: BucketParts, hasSeed: boolean): string {
  const { columns, question, params } = parts;
  const isInside = hasSeed ? `moment >= ${instant(question.startMs, params)}` : 'true';
  const inside = hasSeed ? ` FILTER (${isInside})` : '';
  const values = columns.flatMap(({ aggregate, field, type }, index) => {
    const value =
      aggregate.isNumber && aggregate.name !== 'count' ? numberOf(`f${field}`, type) : `f${field}`;
    return aggregate.sql ? [`${aggregate.sql(value)}${inside} AS a${index}`] : [];
  });
  const moments = usedFields(parts).flatMap((field) => [
    `min(moment) FILTER (f${field} IS NOT NULL) AS from${field}`,
    `max(moment) FILTER (f${field} IS NOT NULL) AS to${field}`,
  ]);
  const seeds = usedFields(parts).flatMap((field) => [
    `arg_max(f${field}, moment) FILTER (NOT (${isInside})) AS s${field}`,
    `max(moment) FILTER (f${field} IS NOT NULL AND NOT (${isInside})) AS sat${field}`,
  ]);
  const keys = keysOf(parts);
  const bucket = bucketOf('moment', parts);
  const shown = [
    `${hasSeed ? `CASE WHEN ${isInside} THEN ${bucket} END` : bucket} AS bucket`,
    ...[...keys, ...values, ...moments, ...(hasSeed ? seeds : [])],
  ];
  return `SELECT ${shown.join(', ')} FROM source GROUP BY bucket, ${keys.join(', ')}`;
}

/** Of each field the last value before the window, and when it was measured. */
function seedsOf(parts: BucketParts): string[] {
  return usedFields(parts).flatMap((field) => [`s${field}`, `sat${field}`]);
}

function gridSql(parts: BucketParts, found: 'grouped' | 'buckets'): string {
  const { question, params, buckets } = parts;
  const keys = keysOf(parts).join(', ');
  const series = `SELECT DISTINCT ${keys} FROM ${found}`;
  const start = instant(question.startMs, params);
  const end = instant(filledToMs(parts), params);
  const zone = params.add(buckets.timeZone);
  const local = (time: string) => `timezone(${zone}, ${time})`;
  const all = `generate_series(time_bucket(${widthSql(parts)}, ${local(start)}), ${local(end)}, ${widthSql(parts)})`;
  return (
    `SELECT ${keys}, bucket FROM (${series}) CROSS JOIN (SELECT timezone(${zone}, step) AS bucket FROM ${all} AS steps(step)) ` +
    `WHERE bucket < ${end}`
  );
}

/**
 * What holds in each stretch between two rows or edges of buckets, weighted by its length. A value holds until the next one,
 * and no longer than `maxGapMs`.
 */
function averagesSql(parts: BucketParts): string {
  const { columns, params, question, buckets } = parts;
  const fields = [...new Set(columns.filter(isTimeAverage).map(({ field }) => field))];
  const keys = keysOf(parts).join(', ');
  const start = instant(question.startMs, params);
  const end = instant(filledToMs(parts), params);
  const each = (sql: (field: number) => string) => fields.map(sql).join(', ');
  const points = [
    `SELECT ${keys}, ${start} AS moment, 0 AS rank, ${each((field) => `s${field} AS f${field}, sat${field} AS h${field}`)} FROM seed`,
    `SELECT ${keys}, greatest(bucket, ${start}), 1, ${each(() => `NULL, NULL`)} FROM grid`,
    `SELECT ${keys}, moment, 2, ${each((field) => `f${field}, CASE WHEN f${field} IS NOT NULL THEN moment END`)} FROM source WHERE moment >= ${start}`,
  ].join(' UNION ALL ');
  const held = each(
    (field) =>
      `last_value(f${field} IGNORE NULLS) OVER so_far AS f${field}, last_value(h${field} IGNORE NULLS) OVER so_far AS h${field}`,
  );
  const until = (field: number) =>
    buckets.maxGapMs === undefined
      ? 'until'
      : `least(until, h${field} + to_milliseconds(${params.add(buckets.maxGapMs)}))`;
  const weights = each(
    (field) =>
      `CASE WHEN f${field} IS NOT NULL THEN greatest(0, epoch_us(${until(field)}) - epoch_us(moment)) END AS w${field}`,
  );
  const values = columns.flatMap((column, index) => {
    if (!isTimeAverage(column)) return [];
    const { field, type } = column;
    return [`sum(${numberOf(`f${field}`, type)} * w${field}) / nullif(sum(w${field}), 0) AS a${index}`];
  });
  const order = `PARTITION BY ${keys} ORDER BY moment, rank`;
  return (
    `SELECT ${bucketOf('moment', parts)} AS bucket, ${[keys, ...values].join(', ')} FROM (SELECT *, ${weights} FROM (` +
    `SELECT ${keys}, moment, least(lead(moment, 1, ${end}) OVER (${order}), ${end}) AS until, ${held} FROM (${points}) ` +
    `WINDOW so_far AS (${order} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW))) GROUP BY bucket, ${keys}`
  );
}

function laidSql(
  parts: BucketParts,
  { isFilled, hasAverages, hasSeed }: Readonly<Record<'isFilled' | 'hasAverages' | 'hasSeed', boolean>>,
): string {
  const base = isFilled ? 'grid' : 'buckets';
  const values = parts.columns.map(
    (column, index) => `${isTimeAverage(column) ? 'averages' : 'buckets'}.a${index} AS a${index}`,
  );
  const moments = usedFields(parts).flatMap((field) => [`from${field}`, `to${field}`]);
  const seeds = hasSeed ? seedsOf(parts).map((name) => `seed.${name} AS ${name}`) : [];
  const joins = [
    ...(isFilled ? [`LEFT JOIN buckets ON ${sameBucket(parts, base, 'buckets')}`] : []),
    ...(hasAverages ? [`LEFT JOIN averages ON ${sameBucket(parts, base, 'averages')}`] : []),
    ...(hasSeed ? [`LEFT JOIN seed ON ${sameSeries(parts, base, 'seed')}`] : []),
  ];
  const shown = [`${base}.bucket AS bucket`, ...keysOf(parts, `${base}.`), ...values, ...moments, ...seeds];
  return `SELECT ${shown.join(', ')} FROM ${base} ${joins.join(' ')}`;
}

function filledSql(parts: BucketParts): string {
  const keys = keysOf(parts).join(', ');
  const values = parts.columns.map((column, index) => `${fillSql(parts, column, index)} AS a${index}`);
  const order = `PARTITION BY ${keys} ORDER BY bucket ROWS BETWEEN`;
  return (
    `SELECT bucket, ${[keys, ...values].join(', ')} FROM laid WINDOW ` +
    `before AS (${order} UNBOUNDED PRECEDING AND 1 PRECEDING), behind AS (${order} 1 FOLLOWING AND UNBOUNDED FOLLOWING)`
  );
}

function fillSql(parts: BucketParts, column: ResultColumn, index: number): string {
  const { fill } = parts.buckets;
  const { aggregate, type } = column;
  const value = `a${index}`;
  if (aggregate.sql === undefined) return value;
  if (aggregate.name === 'count') return `coalesce(${value}, 0)`;
  const isNumber = aggregate.isNumber || type === 'double' || type === 'long';
  if (typeof fill === 'number')
    return isNumber ? `coalesce(${value}::DOUBLE, ${parts.params.add(fill)}::DOUBLE)` : value;
  if (fill === 'previous') return previousSql(parts, column, value);
  return fill === 'linear' && isNumber ? linearSql(parts, column, value) : value;
}

function previousSql(parts: BucketParts, { aggregate, field, type }: ResultColumn, value: string): string {
  const seed = aggregate.isNumber ? numberOf(`s${field}`, type) : `s${field}`;
  const last = `last_value(${value} IGNORE NULLS) OVER before`;
  const held = aggregate.isSeeded ? `coalesce(${last}, ${seed})` : last;
  const since = `coalesce(last_value(to${field} IGNORE NULLS) OVER before, sat${field})`;
  return `CASE WHEN ${value} IS NOT NULL THEN ${value}${withinGap(parts, since, 'bucket')} THEN ${held} END`;
}

function linearSql(parts: BucketParts, { aggregate, field, type }: ResultColumn, value: string): string {
  const seed = aggregate.isSeeded ? `${numberOf(`s${field}`, type)}::DOUBLE` : 'NULL::DOUBLE';
  const seedAt = aggregate.isSeeded ? `sat${field}` : 'NULL::TIMESTAMPTZ';
  const bucket = `CASE WHEN ${value} IS NOT NULL THEN bucket END`;
  const y0 = `coalesce(last_value(${value}::DOUBLE IGNORE NULLS) OVER before, ${seed})`;
  const x0 = `epoch_us(coalesce(last_value(${bucket} IGNORE NULLS) OVER before, ${seedAt}))`;
  const y1 = `first_value(${value}::DOUBLE IGNORE NULLS) OVER behind`;
  const x1 = `epoch_us(first_value(${bucket} IGNORE NULLS) OVER behind)`;
  const since = `coalesce(last_value(to${field} IGNORE NULLS) OVER before, sat${field})`;
  const until = `first_value(from${field} IGNORE NULLS) OVER behind`;
  const between = `${y0} + (${y1} - ${y0}) * (epoch_us(bucket) - ${x0}) / (${x1} - ${x0})`;
  return `CASE WHEN ${value} IS NOT NULL THEN ${value}::DOUBLE${withinGap(parts, since, until)} THEN ${between} END`;
}

function withinGap({ buckets: { maxGapMs }, params }: BucketParts, since: string, until: string): string {
  const isWithin =
    maxGapMs === undefined ? 'true' : `${until} - ${since} <= to_milliseconds(${params.add(maxGapMs)})`;
  return ` WHEN ${isWithin}`;
}
