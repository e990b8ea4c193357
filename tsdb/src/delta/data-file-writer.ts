/**
 * Writes one data file: Parquet, rows sorted by tags, then time, `day` materialised last (DESIGN §5.5).
 *
 * 1. Estimate the distinct values of each column, and plan the encoding by them (`planEncoding`).
 * 2. COPY with ZSTD. Where a double has come out as BYTE_STREAM_SPLIT all the same, write again by version 1 of the format.
 *    (In a file of several row groups a short last one may have few enough times for a dictionary.)
 * 3. Read the statistics from the finished file, which also proves that it can be read.
 */
import { stat } from 'node:fs/promises';
import { dayColumnName, timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import type { Row, Session } from './duckdb.js';
import { planEncoding, rowGroupRows, type DistinctCounts, type Encoding } from './plan-encoding.js';
import { valueColumns, type ValueColumn } from './schema.js';
import { quoteName, quotePath, quoteText, storedSqlType, timeSqlType } from './sql-text.js';
import {
  indexedColumnsMax,
  stringUnitsMax,
  type Bounds,
  type ColumnStatistics,
  type FileStatistics,
} from './statistics.js';

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
  const encoding = planEncoding(await countDistinct(session, relation, columns), isLasting);
  await session.run(copySql(relation, columns, localPath, encoding));
  if (encoding.parquetVersion === 'v2' && (await hasByteStreamSplit(session, localPath)))
    await session.run(copySql(relation, columns, localPath, { ...encoding, parquetVersion: 'v1' }));
  const statistics = await readStatistics(session, columns, localPath);
  return { localPath, bytes: (await stat(localPath)).size, statistics };
}

/** Of an empty column 0. */
async function countDistinct(
  session: Session,
  relation: string,
  columns: TableColumns,
): Promise<DistinctCounts> {
  const values = valueColumns(columns);
  const counted = values.map(
    ({ name }, index) => `, approx_count_distinct(${quoteName(name)}) AS column_${index}`,
  );
  const [row = {}] = await session.rows(`
    SELECT count(*) AS row_count, count(DISTINCT ${time}) AS times ${counted.join('')}
    FROM ${relation}`);
  const ofColumns = (isWanted: (column: ValueColumn) => boolean) =>
    values.flatMap((column, index) => (isWanted(column) ? [Number(row[`column_${index}`])] : []));
  return {
    rows: Number(row['row_count']),
    times: Number(row['times']),
    strings: ofColumns(({ type }) => type === 'string'),
    doubles: ofColumns(({ type, decimals }) => type === 'double' && decimals === undefined),
    decimals: ofColumns(({ decimals }) => decimals !== undefined).filter((count) => count > 0),
  };
}

function copySql(relation: string, columns: TableColumns, localPath: string, encoding: Encoding): string {
  const values = valueColumns(columns).map((column) => castSql(column.name, storedSqlType(column)));
  const day = `CAST(${time} AS DATE) AS ${quoteName(dayColumnName)}`;
  const order = [...columns.tags.map(({ name }) => quoteName(name)), time];
  return `
    COPY (
      SELECT ${[castSql(timeColumnName, timeSqlType), ...values, day].join(', ')}
      FROM ${relation}
      ORDER BY ${order.join(', ')}
    ) TO ${quoteText(localPath)} (
      FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL ${encoding.zstdLevel},
      PARQUET_VERSION ${encoding.parquetVersion},
      ROW_GROUP_SIZE ${rowGroupRows}, DICTIONARY_SIZE_LIMIT ${encoding.dictionaryValuesMax}
    )`;
}

async function hasByteStreamSplit(session: Session, localPath: string): Promise<boolean> {
  const [row] = await session.rows(`
    SELECT count(*) AS chunks FROM parquet_metadata(${quotePath(localPath)})
    WHERE contains(encodings, 'BYTE_STREAM_SPLIT')`);
  return Number(row?.['chunks']) > 0;
}

function castSql(name: string, type: string): string {
  return `CAST(${quoteName(name)} AS ${type}) AS ${quoteName(name)}`;
}

async function readStatistics(
  session: Session,
  columns: TableColumns,
  localPath: string,
): Promise<FileStatistics> {
  const indexed = valueColumns(columns).slice(0, indexedColumnsMax - 1);
  const [row = {}] = await session.rows(`
    SELECT
      count(*) AS row_count,
      epoch_us(min(${time})) AS min_time_us,
      epoch_us(max(${time})) AS max_time_us
      ${indexed.flatMap(statisticsSql).join('')}
    FROM read_parquet(${quotePath(localPath)}, hive_partitioning = false)`);
  const rowCount = Number(row['row_count']);
  return {
    rowCount,
    minTimeUs: Number(row['min_time_us']),
    maxTimeUs: Number(row['max_time_us']),
    columns: indexed.map((column, index) => toColumnStatistics(column, index, row, rowCount)),
  };
}

/** Of long texts only as much comes over as tells that they are too long. */
function statisticsSql({ name, type, decimals }: ValueColumn, index: number): string[] {
  const column = quoteName(name);
  const bound = (order: 'min' | 'max') => {
    if (decimals !== undefined) return `CAST(${order}(${column}) AS VARCHAR)`;
    return type === 'string' ? `left(${order}(${column}), ${stringUnitsMax + 1})` : `${order}(${column})`;
  };
  return [
    `, count(${column}) AS count_${index}, ${bound('min')} AS min_${index}, ${bound('max')} AS max_${index}`,
    type === 'double' && decimals === undefined ? `, bool_and(isfinite(${column})) AS finite_${index}` : '',
  ];
}

function toColumnStatistics(
  { name, type, decimals }: ValueColumn,
  index: number,
  row: Row,
  rowCount: number,
): ColumnStatistics {
  const [min, max] = [row[`min_${index}`], row[`max_${index}`]];
  const hasBounds = isBound(min) && isBound(max) && row[`finite_${index}`] !== false;
  return {
    name,
    type,
    decimals,
    nullCount: rowCount - Number(row[`count_${index}`]),
    bounds: hasBounds ? { min, max } : undefined,
  };
}

function isBound(value: unknown): value is Bounds['min'] {
  return ['string', 'number', 'bigint'].includes(typeof value);
}
