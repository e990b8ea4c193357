/**
 * What the statistics of a data file say, read from the finished file, which also proves that it can be read.
 */
import { timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import type { Row, Session } from './duckdb.js';
import { valueColumns, type ValueColumn } from './schema.js';
import { quoteName, quotePath } from './sql-text.js';
import {
  indexedColumnsMax,
  stringUnitsMax,
  type Bounds,
  type ColumnStatistics,
  type FileStatistics,
} from './statistics.js';

const time = quoteName(timeColumnName);

export async function readStatistics(
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
