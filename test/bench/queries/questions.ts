/**
 * What is asked of the random walks. What `/range` knows is asked there, as others have an interface of their own for it, and
 * in SQL as well. `days` names the days whose files can hold the answer: DuckDB alone is given only
 * these, which ours has to find out. A question is one text for all that speak SQL, unless one of them wants it otherwise.
 */
import type { Dialect } from './dialects.js';

export type Days = 'all' | 'one' | 'newest';

export interface Question {
  readonly name: string;
  readonly tables: readonly string[];
  readonly days: Days;
  readonly sql: (dialect: Dialect) => string;
  /** Instead of `sql`, in the words of one of them. `null`: it is not asked. */
  readonly ours?: string | { readonly path: string };
  readonly duckDb?: string;
  readonly clickHouse?: string | null;
  readonly postgreSql?: string | null;
  readonly influxQl?: string;
  readonly promQl?: PromQuestion;
  /** At most, in milliseconds, of ours (DESIGN §8). */
  readonly budgetMs?: number;
}

export interface PromQuestion {
  readonly query: string;
  readonly startMs?: number;
  readonly endMs: number;
  readonly stepSeconds?: number;
}

export interface Span {
  /** The day that is asked for where one is: a midnight, UTC. */
  readonly dayMs: number;
  readonly firstMs: number;
  /** Past the last row. */
  readonly endMs: number;
}

export const walkFields = ['humidity', 'power', 'pressure', 'temperature', 'voltage'] as const;

const [hourMs, dayLengthMs] = [3_600_000, 86_400_000];
const device = 'device-042';

export function walkQuestions({ dayMs, firstMs, endMs }: Span): Question[] {
  const [walk, iso] = [['walk'], (ms: number) => new Date(ms).toISOString()];
  const [hourAt, dayEndMs] = [dayMs + 10 * hourMs, dayMs + dayLengthMs];
  const within = (dialect: Dialect, fromMs: number, toMs: number) =>
    `time >= ${dialect.moment(fromMs)} AND time < ${dialect.moment(toMs)}`;
  const influxWithin = (fromMs: number, toMs: number) => `time >= '${iso(fromMs)}' AND time < '${iso(toMs)}'`;
  const lastOf = (table: string) => (dialect: Dialect) =>
    `SELECT device, site, max(time) AS at, ${walkFields.map((field) => `${dialect.last(field)} AS ${field}_`).join(', ')}
      FROM ${table} GROUP BY device, site`;
  const pixelSeconds = pixelWidth((endMs - firstMs) / 1_000);
  const lateral = `SELECT d.device, r.* FROM devices d CROSS JOIN LATERAL
    (SELECT time, ${walkFields.join(', ')} FROM walk WHERE device = d.device ORDER BY time DESC LIMIT 1) r`;
  /** The one with many rows: 8,640. */
  const asofOfDay = (dialect: Dialect) => {
    const rows = (name: string, field: string) =>
      `(SELECT time, 1 AS one, ${field} FROM walk WHERE device = '${name}' AND ${within(dialect, dayMs, dayEndMs)})`;
    return `SELECT a.time, a.temperature, b.power FROM ${rows(device, 'temperature')} a
      ASOF JOIN ${rows('device-043', 'power')} b ON a.one = b.one AND a.time >= b.time`;
  };
  const range = `/api/v1/range?table=walk&device=${device}&columns=temperature`;
  const rawHour = (dialect: Dialect) =>
    `SELECT time, temperature FROM walk WHERE device = '${device}' AND ${within(dialect, hourAt, hourAt + hourMs)} ORDER BY time`;
  const dayOfMeans = (dialect: Dialect) =>
    `SELECT ${dialect.bucket(60)} AS t, avg(temperature) AS mean FROM walk
      WHERE device = '${device}' AND ${within(dialect, dayMs, dayEndMs)} GROUP BY t ORDER BY t`;
  const extremes = (dialect: Dialect) =>
    `SELECT ${dialect.bucket(pixelSeconds)} AS t, min(temperature) AS low, max(temperature) AS high FROM walk
      WHERE device = '${device}' GROUP BY t ORDER BY t`;
  return [
    {
      name: 'last value of 200 series',
      tables: walk,
      days: 'all',
      sql: lastOf('walk'),
      ours: { path: '/api/v1/latest?table=walk' },
      postgreSql: lateral,
      influxQl: `SELECT ${walkFields.map((field) => `last(${field})`).join(', ')} FROM walk GROUP BY device`,
      promQl: { query: '{__name__=~"walk_.*"}', endMs: endMs - 10_000 },
    },
    {
      name: 'last value of 10,000 series',
      tables: ['fleet'],
      days: 'all',
      sql: lastOf('fleet'),
      ours: { path: '/api/v1/latest?table=fleet' },
      postgreSql: null,
      budgetMs: 10,
    },
    {
      name: 'one series, an hour, raw',
      tables: walk,
      days: 'one',
      sql: rawHour,
      ours: { path: `${range}&start=${iso(hourAt)}&end=${iso(hourAt + hourMs)}` },
      influxQl: `SELECT temperature FROM walk WHERE device = '${device}' AND ${influxWithin(hourAt, hourAt + hourMs)}`,
      promQl: {
        query: `walk_temperature{device="${device}"}`,
        startMs: hourAt,
        endMs: hourAt + hourMs - 10_000,
        stepSeconds: 10,
      },
    },
    { name: 'one series, an hour, raw, in SQL', tables: walk, days: 'one', sql: rawHour },
    {
      name: 'one series, a day, 1-minute means',
      tables: walk,
      days: 'one',
      sql: dayOfMeans,
      ours: { path: `${range}&start=${iso(dayMs)}&end=${iso(dayEndMs)}&every=1m` },
      influxQl: `SELECT mean(temperature) FROM walk WHERE device = '${device}' AND ${influxWithin(dayMs, dayEndMs)} GROUP BY time(1m)`,
      // A window of PromQL ends with its time and does not hold its start.
      promQl: {
        query: `avg_over_time(walk_temperature{device="${device}"}[1m])`,
        startMs: dayMs + 59_999,
        endMs: dayEndMs - 1,
        stepSeconds: 60,
      },
      budgetMs: 10,
    },
    {
      name: 'one series, a day, 1-minute means, in SQL',
      tables: walk,
      days: 'one',
      sql: dayOfMeans,
    },
    {
      name: 'all series, hourly means by site',
      tables: walk,
      days: 'all',
      sql: (dialect) =>
        `SELECT ${dialect.bucket(3_600)} AS t, site, avg(temperature) AS mean FROM walk GROUP BY t, site ORDER BY t, site`,
      influxQl: `SELECT mean(temperature) FROM walk WHERE ${influxWithin(firstMs, endMs)} GROUP BY time(1h), site`,
      promQl: {
        query:
          'sum(sum_over_time(walk_temperature[1h])) by (site) / sum(count_over_time(walk_temperature[1h])) by (site)',
        startMs: firstMs + hourMs - 1,
        endMs: endMs - 1,
        stepSeconds: 3_600,
      },
    },
    {
      name: 'p95 by site, a day',
      tables: walk,
      days: 'one',
      sql: (dialect) =>
        `SELECT site, ${dialect.quantile('temperature', 0.95)} AS p95 FROM walk WHERE ${within(dialect, dayMs, dayEndMs)} GROUP BY site ORDER BY site`,
    },
    {
      name: 'times above a threshold, by series',
      tables: walk,
      days: 'all',
      sql: () =>
        'SELECT device, count(*) AS times FROM walk WHERE temperature > 25 GROUP BY device ORDER BY device',
      influxQl: `SELECT count(temperature) FROM walk WHERE temperature > 25 GROUP BY device`,
    },
    {
      name: 'count of all',
      tables: walk,
      days: 'all',
      sql: () => 'SELECT count(*) AS n FROM walk',
      influxQl: 'SELECT count(temperature) FROM walk',
    },
    {
      name: 'an hour by 5 s, gaps filled',
      tables: walk,
      days: 'one',
      sql: (dialect) => `SELECT g.t, last_value(r.mean IGNORE NULLS) OVER (ORDER BY g.t) AS mean
        FROM (SELECT unnest(range(${dialect.moment(hourAt)}, ${dialect.moment(hourAt + hourMs)}, INTERVAL 5 SECONDS)) AS t) g
        LEFT JOIN (SELECT ${dialect.bucket(5)} AS t, avg(temperature) AS mean FROM walk
          WHERE device = '${device}' AND ${within(dialect, hourAt, hourAt + hourMs)} GROUP BY 1) r ON r.t = g.t ORDER BY 1`,
      ours: {
        path: `${range}&start=${iso(hourAt)}&end=${iso(hourAt + hourMs)}&every=5s&fill=previous`,
      },
      clickHouse: null,
      postgreSql: null,
      influxQl: `SELECT mean(temperature) FROM walk WHERE device = '${device}' AND ${influxWithin(hourAt, hourAt + hourMs)} GROUP BY time(5s) fill(previous)`,
    },
    {
      name: 'all of one series, lowest and highest by pixel',
      tables: walk,
      days: 'all',
      sql: extremes,
      ours: {
        path: `${range}&start=${iso(firstMs)}&end=${iso(endMs)}&every=${pixelSeconds}s&agg=min,max`,
      },
      influxQl: `SELECT min(temperature), max(temperature) FROM walk WHERE device = '${device}' AND ${influxWithin(firstMs, endMs)} GROUP BY time(${pixelSeconds}s) fill(none)`,
    },
    {
      name: 'all of one series, lowest and highest by pixel, in SQL',
      tables: walk,
      days: 'all',
      sql: extremes,
    },
    {
      name: 'ASOF join of two series, a day',
      tables: walk,
      days: 'one',
      sql: asofOfDay,
      postgreSql: null,
    },
  ];
}

/** At most 1,000 on a screen; all engines align widths that divide a day alike. */
function pixelWidth(seconds: number): number {
  let width = Math.max(10, Math.ceil(seconds / 1_000));
  while (width < 86_400 && 86_400 % width !== 0) width++;
  return width;
}
