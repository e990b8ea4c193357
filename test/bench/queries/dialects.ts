/** The few words in which the SQL of DuckDB, ClickHouse and PostgreSQL differ, so that a question is written once. */

export interface Dialect {
  /** Starts of intervals, aligned to 1970 or 2000: the same for widths that divide a day. */
  readonly bucket: (seconds: number, column?: string) => string;
  /** The value of the newest row of a group. */
  readonly last: (column: string) => string;
  /** Between two values, a line. */
  readonly quantile: (column: string, part: number) => string;
  /** A moment, of milliseconds since 1970. */
  readonly moment: (ms: number) => string;
}

const isoOf = (ms: number) => new Date(ms).toISOString();

export const duckDbSql: Dialect = {
  bucket: (seconds, column = 'time') => `time_bucket(INTERVAL ${seconds} SECONDS, ${column})`,
  last: (column) => `arg_max(${column}, time)`,
  quantile: (column, part) => `quantile_cont(${column}, ${part})`,
  moment: (ms) => `TIMESTAMPTZ '${isoOf(ms)}'`,
};

export const clickHouseSql: Dialect = {
  bucket: (seconds, column = 'time') => `toStartOfInterval(${column}, INTERVAL ${seconds} SECOND)`,
  last: (column) => `argMax(${column}, time)`,
  quantile: (column, part) => `quantileExactInclusive(${part})(${column})`,
  moment: (ms) => `toDateTime64('${isoOf(ms).slice(0, 19).replace('T', ' ')}', 6, 'UTC')`,
};

export const postgreSql: Dialect = {
  bucket: (seconds, column = 'time') => `date_bin('${seconds} seconds', ${column}, '2000-01-01Z')`,
  last: (column) => `(array_agg(${column} ORDER BY time DESC))[1]`,
  quantile: (column, part) => `percentile_cont(${part}) WITHIN GROUP (ORDER BY ${column})`,
  moment: (ms) => `timestamptz '${isoOf(ms)}'`,
};
