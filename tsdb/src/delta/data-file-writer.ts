/**
 * Writes one data file: Parquet, rows sorted by tags, then time, `day` materialised last (DESIGN §5.5).
 *
 * 1. Number the series, so that rows can be sorted by numbers (`numberSeries`).
 * 2. Estimate the distinct values of each column, and plan the encoding by them (`planEncoding`).
 * 3. COPY with ZSTD. Where a double has come out as BYTE_STREAM_SPLIT all the same, write again by version 1 of the format.
 *    (In a file of several row groups a short last one may have few enough times for a dictionary.)
 * 4. Read the statistics from the finished file, which also proves that it can be read.
 *
 * A lasting file of long series without plain doubles takes another way than 2 and 3 (`plan-series-groups.ts`): it is sorted
 * into a temporary table, and copied from there, a few series at a time, so that row groups end with them.
 */
import assert from 'node:assert';
import { stat } from 'node:fs/promises';
import { dayColumnName, timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import type { Session } from './duckdb.js';
import { isSameSeries, numberSeries, type SeriesCounts } from './number-series.js';
import { planEncoding, rowGroupRows, type DistinctCounts, type Encoding } from './plan-encoding.js';
import {
  mayEndWithSeries,
  planSeriesGroups,
  seriesGroupEncoding,
  type SeriesGroups,
} from './plan-series-groups.js';
import { readStatistics } from './read-statistics.js';
import { valueColumns } from './schema.js';
import { quoteName, quotePath, quoteText, storedSqlType, timeSqlType, utcDate } from './sql-text.js';
import type { FileStatistics } from './statistics.js';

const time = quoteName(timeColumnName);

export interface WrittenFile {
  readonly localPath: string;
  readonly bytes: number;
  readonly statistics: FileStatistics;
}

/**
 * `relation` is a table's name or a query in brackets with the table's columns; its rows lie in one UTC day and there
 * is at least one. `isLasting`: no other file will soon replace this one. The file at `localPath` is there when this returns, but not fsynced: it is on its way to the store.
 */
export async function writeDataFile(
  session: Session,
  relation: string,
  columns: TableColumns,
  localPath: string,
  { isLasting = false } = {},
): Promise<WrittenFile> {
  const task = { relation, columns, localPath, isLasting };
  if (columns.tags.length === 0) return await write(session, task, undefined);
  const series = await numberSeries(session, seriesTable, relation, columns);
  try {
    const written = await write(session, task, series);
    assert.equal(written.statistics.rowCount, series.rows, 'every row has a series, and is written once');
    return written;
  } finally {
    await session.run(`DROP TABLE ${seriesTable}`);
  }
}

const seriesTable = 'file_series';
const sortedTable = 'file_rows';

interface WriteTask {
  readonly relation: string;
  readonly columns: TableColumns;
  readonly localPath: string;
  readonly isLasting: boolean;
}

/** `series`: of `seriesTable`; undefined where there are no tags. */
async function write(
  session: Session,
  task: WriteTask,
  series: SeriesCounts | undefined,
): Promise<WrittenFile> {
  const { columns, localPath, isLasting } = task;
  const isWorthALook = series && isLasting && mayEndWithSeries(columns, series);
  const groups = isWorthALook ? planSeriesGroups(await readSeriesRows(session)) : undefined;
  if (groups) await copyBySeries(session, task, groups);
  else await copy(session, task);
  const statistics = await readStatistics(session, columns, localPath);
  return { localPath, bytes: (await stat(localPath)).size, statistics };
}

async function copy(session: Session, task: WriteTask): Promise<void> {
  const { localPath, isLasting } = task;
  const encoding = planEncoding(await countDistinct(session, task), isLasting);
  const rows = sortedSql(task);
  await session.run(copySql(rows, localPath, encoding));
  if (encoding.parquetVersion === 'v2' && (await hasByteStreamSplit(session, localPath)))
    await session.run(copySql(rows, localPath, { ...encoding, parquetVersion: 'v1' }));
}

/** Of an empty column 0. */
async function countDistinct(session: Session, { relation, columns }: WriteTask): Promise<DistinctCounts> {
  const [fields, tags] = [columns.fields, columns.tags];
  const counted = fields.map(
    ({ name }, index) => `, approx_count_distinct(${quoteName(name)}) AS column_${index}`,
  );
  const [row = {}] = await session.rows(`
    SELECT count(*) AS row_count, count(DISTINCT ${time}) AS times ${counted.join('')}
    FROM ${relation}`);
  const ofTags = tags.map(({ name }, index) => `count(DISTINCT ${quoteName(name)}) AS tag_${index}`);
  const [tagRow = {}] =
    tags.length > 0 ? await session.rows(`SELECT ${ofTags.join(', ')} FROM ${seriesTable}`) : [];
  const ofFields = (isWanted: (field: TableColumns['fields'][number]) => boolean) =>
    fields.flatMap((field, index) => (isWanted(field) ? [Number(row[`column_${index}`])] : []));
  return {
    rows: Number(row['row_count']),
    times: Number(row['times']),
    strings: [
      ...tags.map((_, index) => Number(tagRow[`tag_${index}`])),
      ...ofFields(({ type }) => type === 'string'),
    ],
    doubles: ofFields(({ type, decimals }) => type === 'double' && decimals === undefined),
    decimals: ofFields(({ decimals }) => decimals !== undefined).filter((count) => count > 0),
  };
}

/** In the order of the file. */
async function readSeriesRows(session: Session): Promise<number[]> {
  const rows = await session.rows(`SELECT "@rows" FROM ${seriesTable} ORDER BY "@id"`);
  return rows.map((row) => Number(row['@rows']));
}

/** A batch of rows never reaches beyond the SELECT that it comes from: that is what ends row groups with series. */
async function copyBySeries(session: Session, task: WriteTask, plan: SeriesGroups): Promise<void> {
  await session.run(`CREATE TEMP TABLE ${sortedTable} AS ${sortedSql(task)}`);
  try {
    let next = 0;
    const selects = plan.groups.map((count) => {
      const first = next;
      next += count;
      return `SELECT * FROM ${sortedTable} WHERE rowid BETWEEN ${first} AND ${next - 1}`;
    });
    const rows = selects.join(' UNION ALL ');
    await session.run(copySql(rows, task.localPath, seriesGroupEncoding, plan.rowGroupSize));
  } finally {
    await session.run(`DROP TABLE ${sortedTable}`);
  }
}

function sortedSql({ relation, columns }: WriteTask): string {
  const values = valueColumns(columns).map((column) => castSql(column.name, storedSqlType(column)));
  const day = `${utcDate(`rows.${time}`)} AS ${quoteName(dayColumnName)}`;
  const selected = [castSql(timeColumnName, timeSqlType), ...values, day].join(', ');
  if (columns.tags.length === 0) return `SELECT ${selected} FROM ${relation} AS rows ORDER BY rows.${time}`;
  return `
    SELECT ${selected}
    FROM ${relation} AS rows JOIN ${seriesTable} AS series ON ${isSameSeries(columns, 'rows', 'series')}
    ORDER BY series."@id", rows.${time}`;
}

function copySql(rows: string, localPath: string, encoding: Encoding, rowGroupSize = rowGroupRows): string {
  return `
    COPY (${rows}) TO ${quoteText(localPath)} (
      FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL ${encoding.zstdLevel},
      PARQUET_VERSION ${encoding.parquetVersion},
      ROW_GROUP_SIZE ${rowGroupSize}, DICTIONARY_SIZE_LIMIT ${encoding.dictionaryValuesMax}
    )`;
}

async function hasByteStreamSplit(session: Session, localPath: string): Promise<boolean> {
  const [row] = await session.rows(`
    SELECT count(*) AS chunks FROM parquet_metadata(${quotePath(localPath)})
    WHERE contains(encodings, 'BYTE_STREAM_SPLIT')`);
  return Number(row?.['chunks']) > 0;
}

function castSql(name: string, type: string): string {
  return `CAST(rows.${quoteName(name)} AS ${type}) AS ${quoteName(name)}`;
}
