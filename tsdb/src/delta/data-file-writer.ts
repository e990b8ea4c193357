/**
 * Writes one data file: Parquet, rows sorted by tags, then time, `day` materialised last (DESIGN §5.5).
 *
 * 1. Count the distinct times of the rows.
 * 2. COPY with ZSTD and, by version 2 of the format, DELTA_BINARY_PACKED for integers that have no dictionary. DuckDB
 *    builds a dictionary for every column with up to `DICTIONARY_SIZE_LIMIT` distinct values in a row group; a limit
 *    below the number of distinct times keeps `time` out of that, and leaves tags and repeating values their
 *    dictionaries. (In a file of several row groups a short last one may have fewer times than that, and a dictionary.)
 * 3. Read the statistics from the finished file, which also proves that it can be read.
 */
import { stat } from 'node:fs/promises';
import { dayColumnName, timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import type { Row, Session } from './duckdb.js';
import { valueColumns, type ValueColumn } from './schema.js';
import { quoteName, quotePath, quoteText, storedSqlType, timeSqlType } from './sql-text.js';
import {
  indexedColumnsMax,
  stringUnitsMax,
  type Bounds,
  type ColumnStatistics,
  type FileStatistics,
} from './statistics.js';

const rowGroupRows = 122_880;
/** DuckDB's own limit for a row group of this size. */
const dictionaryValuesMax = rowGroupRows / 5;

const time = quoteName(timeColumnName);

export interface WrittenFile {
  readonly localPath: string;
  readonly bytes: number;
  readonly statistics: FileStatistics;
}

/**
 * `relation` is a table's name or a query in brackets with the table's columns; its rows lie in one UTC day and there
 * is at least one. The file at `localPath` is there when this returns, but not fsynced: it is on its way to the store.
 */
export async function writeDataFile(
  session: Session,
  relation: string,
  columns: TableColumns,
  localPath: string,
): Promise<WrittenFile> {
  const distinctTimes = await countDistinctTimes(session, relation);
  await session.run(copySql(relation, columns, localPath, planDictionaryValuesMax(distinctTimes)));
  const statistics = await readStatistics(session, columns, localPath);
  return { localPath, bytes: (await stat(localPath)).size, statistics };
}

export function planDictionaryValuesMax(distinctTimes: number): number {
  return Math.min(distinctTimes - 1, dictionaryValuesMax);
}

async function countDistinctTimes(session: Session, relation: string): Promise<number> {
  const [row] = await session.rows(`SELECT count(DISTINCT ${time}) AS times FROM ${relation}`);
  return Number(row?.['times']);
}

function copySql(relation: string, columns: TableColumns, localPath: string, dictionaryMax: number): string {
  const values = valueColumns(columns).map((column) => castSql(column.name, storedSqlType(column)));
  const day = `CAST(${time} AS DATE) AS ${quoteName(dayColumnName)}`;
  const order = [...columns.tags.map(({ name }) => quoteName(name)), time];
  return `
    COPY (
      SELECT ${[castSql(timeColumnName, timeSqlType), ...values, day].join(', ')}
      FROM ${relation}
      ORDER BY ${order.join(', ')}
    ) TO ${quoteText(localPath)} (
      FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2,
      ROW_GROUP_SIZE ${rowGroupRows}, DICTIONARY_SIZE_LIMIT ${dictionaryMax}
    )`;
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
    type === 'double' ? `, bool_and(isfinite(${column})) AS finite_${index}` : '',
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
