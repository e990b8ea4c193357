/**
 * What a client may ask of `/api/v1/range`, beside tags (`table-request.ts`) and what `/api/v1/query` says of answers (`format`,
 * `max_rows`, `timeout`, `tz`, …).
 *
 * | name           | meaning                                                                                               |
 * |----------------|-------------------------------------------------------------------------------------------------------|
 * | `columns`      | `temp,hum`: only these fields                                                                         |
 * | `start`, `end` | RFC 3339, a date, a number since 1970, or relative: `-6h`. Default the last hour; `end` is exclusive  |
 * | `every`        | width of buckets: `10s`, `1m`, `1d`, `1mo`; absent: rows as they are                                  |
 * | `agg`          | `avg,min,max,sum,count,first,last,median,stddev,p95,time_avg`; default `avg`                          |
 * | `fill`         | `none` (default), `null`, `previous`, `linear`, or a number                                           |
 * | `max_gap`      | nothing is filled across more than that                                                               |
 * | `look_back`    | how far before `start` a value is looked for that still holds; default `max_gap`, or else 1d          |
 * | `max_points`   | rows per series at most: extremes stay; with `agg`, in place of `every`                               |
 */
import { durationMs, parseDurationMs } from '@varve/common/config/units.js';
import { z } from 'zod';
import { shownFields, type ShownField } from '../delta/shown-fields.js';
import type { Snapshot } from '../delta/snapshot.js';
import { mergedColumns, mergedTags, type MergedColumn } from '../query/merge-partials.js';
import {
  planRange,
  type BucketWidth,
  type Fill,
  type RangeBuckets,
  type RangeField,
  type RangeQuestion,
} from '../sensors/plan-range.js';
import { aggregateNames, findAggregate, type RangeAggregate } from '../sensors/range-aggregates.js';
import { readTimeMs, timeExpected } from '../sensors/read-time.js';
import type { AnswerFormat } from './answer-format.js';
import { badParam, checkParams } from './check-params.js';
import { querySchema, readQueryString, type AskedQuery } from './query-request.js';
import { splitList, splitTags } from './table-request.js';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** Of one series. */
const bucketsMax = 100_000;
const aggregatesMax = 20;

const fillExpected = 'must be none, null, previous, linear or a number';
const widthExpected = 'must be a duration such as 10s, 1m, 1h, 1d, 1mo';
const pointsExpected = 'must be a whole number from 1 to 100000';
const names = (what: string) => z.string({ error: `must be ${what}` }).optional();

const { format, max_rows, max_bytes, timeout, dry_run, explain, time_format, tz, int64, header, as_of } =
  querySchema.shape;
/** Of answers, as `/api/v1/query` has them. */
export const answerShape = {
  format,
  max_rows,
  max_bytes,
  timeout,
  dry_run,
  explain,
  time_format,
  tz,
  int64,
  header,
  as_of,
};

export const rangeSchema = z.strictObject({
  table: names('the name of a table'),
  columns: names('names of fields, such as temp,hum'),
  start: names('a time'),
  end: names('a time'),
  every: names('a duration'),
  agg: names(`some of ${aggregateNames.join(', ')}`),
  fill: names('none, null, previous, linear or a number'),
  max_gap: durationMs({ minMs: 1 }).optional(),
  look_back: durationMs({ minMs: 1, maxMs: 3_650 * dayMs }).optional(),
  max_points: z.coerce
    .number(pointsExpected)
    .int(pointsExpected)
    .min(1, pointsExpected)
    .max(100_000, pointsExpected)
    .optional(),
});
/** For the description of the API. */
export const rangeParams = z.strictObject({ ...rangeSchema.shape, ...answerShape });

type GivenRange = z.output<typeof rangeSchema>;

/** All of a question but its window: what a panel of a dashboard asks again and again. */
export interface RangeForm {
  readonly asked: AskedQuery;
  readonly given: Omit<GivenRange, 'start' | 'end'>;
  readonly about: Pick<RangeQuestion, 'database' | 'table' | 'tags' | 'fields' | 'tagValues'>;
}

/** As a query, and as what it means. */
export interface AskedRange extends AskedQuery {
  readonly question: RangeQuestion;
}

/** @throws Failure `bad_param` naming what is wrong */
export function readRangeForm(
  { columns, aggregate, name }: Snapshot,
  query: Readonly<Record<string, unknown>>,
  accepted: () => AnswerFormat,
): RangeForm {
  const tags = (aggregate ? mergedTags(columns) : columns.tags).map((tag) => tag.name);
  const { tagValues, others } = splitTags(query, tags, Object.keys(rangeParams.shape));
  const ofAnswer = Object.entries(others).filter(([key]) => key in answerShape);
  const ofRange = Object.entries(others).filter(([key]) => !(key in answerShape));
  const given = checkParams(rangeSchema, Object.fromEntries(ofRange), [...Object.keys(answerShape), ...tags]);
  const asked = readQueryString({ ...Object.fromEntries(ofAnswer), sql: 'select' }, accepted);
  const all = aggregate ? mergedColumns(columns, aggregate) : shownFields(columns);
  const fields = chooseFields(given.columns, all);
  return { asked, given, about: { ...name, tags, fields, tagValues } };
}

/** @param form of the same query @throws Failure `bad_param` */
export function readRange(
  { asked, given, about }: RangeForm,
  window: WindowTexts,
  nowMs: number,
): AskedRange {
  const { startMs, endMs } = readWindow(window, nowMs);
  const buckets = readBuckets(given, endMs - startMs, asked.render.style.timeZone);
  if (buckets) requireSomething(buckets.aggregates, about.fields);
  const pointsMax = buckets ? undefined : given.max_points;
  const question = { ...about, startMs, endMs, nowMs, buckets, pointsMax };
  return { ...asked, query: { ...asked.query, ...planRange(question) }, question };
}

export interface WindowTexts {
  readonly start?: string | undefined;
  readonly end?: string | undefined;
}

/** @throws Failure `bad_param` */
export function readWindow(given: WindowTexts, nowMs: number): { startMs: number; endMs: number } {
  const read = (name: 'start' | 'end', text: string) => {
    const ms = readTimeMs(text, nowMs);
    if (ms === undefined) throw badParam(name, timeExpected, 'such as 2026-01-01T00:00:00Z, or -6h');
    return ms;
  };
  const endMs = given.end === undefined ? nowMs : read('end', given.end);
  const startMs = given.start === undefined ? endMs - hourMs : read('start', given.start);
  if (startMs >= endMs) throw badParam('start', 'must be before end');
  return { startMs, endMs };
}

function chooseFields(text: string | undefined, all: readonly (ShownField | MergedColumn)[]): RangeField[] {
  // A time is no number either: no mean is taken of it.
  const known = all.map(({ name, type }) => ({
    name,
    type: type === 'timestamp' ? ('string' as const) : type,
  }));
  if (text === undefined) return known;
  return requireFields(
    splitList(text),
    known.map(({ name }) => name),
  ).flatMap((name) => known.find((field) => field.name === name) ?? []);
}

/** @throws Failure `bad_param` naming what is no field of the table */
export function requireFields(wanted: readonly string[], known: readonly string[]): string[] {
  const folded = [...new Set(wanted.map((name) => name.trim().toLowerCase()))];
  const unknown = folded.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw badParam(
      'columns',
      `there is no field ${unknown.slice(0, 20).join(', ').slice(0, 200)}`,
      `there are ${known.join(', ')}`,
    );
  return folded;
}

function readBuckets(
  given: RangeForm['given'],
  windowMs: number,
  timeZone: string,
): RangeBuckets | undefined {
  const { every, agg, max_points, fill } = given;
  if (every === undefined && agg === undefined) {
    if (fill !== undefined)
      throw badParam('fill', 'goes with every', 'such as every=1m&agg=avg&fill=previous');
    return undefined;
  }
  if (every !== undefined && max_points !== undefined)
    throw badParam('max_points', 'goes with rows, or in place of every');
  const width = every === undefined ? widthFor(windowMs, max_points) : readWidth(every);
  const widthMs = 'us' in width ? width.us / 1_000 : width.months * 28 * dayMs;
  if (windowMs / widthMs > bucketsMax)
    throw badParam('every', `makes more than ${bucketsMax} buckets of the window`, 'choose wider buckets');
  return {
    width,
    timeZone: widthMs >= dayMs ? timeZone : 'UTC',
    aggregates: readAggregates(agg ?? 'avg'),
    fill: readFill(fill ?? 'none'),
    maxGapMs: given.max_gap,
    lookBackMs: given.look_back ?? given.max_gap ?? dayMs,
  };
}

function readWidth(text: string): BucketWidth {
  const [, count, unit] = /^(\d{1,4})(mo|y)$/.exec(text.trim()) ?? [];
  const months = Number(count) * (unit === 'y' ? 12 : 1);
  if (count !== undefined && months > 0) return { months };
  const ms = parseDurationMs(text);
  const us = Math.round((ms ?? 0) * 1_000);
  if (us < 1 || us > Number.MAX_SAFE_INTEGER) throw badParam('every', widthExpected);
  return { us };
}

/** The first of these with no more buckets than points. */
const roundWidthsMs = [1, 2, 5, 10, 20, 50, 100, 200, 500]
  .concat([1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1_000))
  .concat([1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60_000))
  .concat([1, 2, 3, 6, 12].map((hours) => hours * hourMs))
  .concat([1, 2, 7, 14, 28, 91, 364].map((days) => days * dayMs));

function widthFor(windowMs: number, pointsMax: number | undefined): BucketWidth {
  if (pointsMax === undefined) throw badParam('every', 'is missing', 'agg needs every, or max_points');
  const wanted = windowMs / pointsMax;
  return { us: (roundWidthsMs.find((ms) => ms >= wanted) ?? Math.ceil(wanted)) * 1_000 };
}

function readAggregates(text: string): RangeAggregate[] {
  const wanted = [...new Set(splitList(text).map((name) => name.trim().toLowerCase()))];
  if (wanted.length > aggregatesMax) throw badParam('agg', `must be at most ${aggregatesMax}`);
  return wanted.map((name) => {
    const aggregate = findAggregate(name);
    if (!aggregate)
      throw badParam(
        'agg',
        `there is no ${name.slice(0, 40)}`,
        `there are ${aggregateNames.join(', ')} and other percentiles`,
      );
    return aggregate;
  });
}

function requireSomething(aggregates: readonly RangeAggregate[], fields: readonly RangeField[]): void {
  const isPossible = fields.some(({ type }) =>
    aggregates.some(({ takesText }) => takesText || type !== 'string'),
  );
  if (!isPossible)
    throw badParam('agg', 'none of the columns is a number', 'use count, first, last, min or max');
}

function readFill(text: string): Fill {
  if (text === 'none' || text === 'null' || text === 'previous' || text === 'linear') return text;
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(number)) throw badParam('fill', fillExpected);
  return number;
}
