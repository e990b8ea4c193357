/**
 * The rows of some data files as a relation with the table's columns, whatever columns each file has.
 */
import { timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import { valueColumns } from './schema.js';
import { quoteName, quotePath, storedSqlType, timeSqlType } from './sql-text.js';

/**
 * A query in brackets. `fileColumn`, if given, holds the path of each row's file. Files from before a column was added lack
 * it; the empty select first brings every column, with its type.
 */
export function rowsOfFiles(paths: readonly string[], columns: TableColumns, fileColumn?: string): string {
  const typed = valueColumns(columns).map((column) => nullOf(column.name, storedSqlType(column)));
  const filename = fileColumn === undefined ? '' : `, filename = '${fileColumn}'`;
  return `(
    SELECT ${[nullOf(timeColumnName, timeSqlType), ...typed].join(', ')} WHERE false
    UNION ALL BY NAME
    SELECT * FROM read_parquet(
      [${paths.map(quotePath).join(', ')}], union_by_name = true, hive_partitioning = false${filename}))`;
}

function nullOf(name: string, type: string): string {
  return `CAST(NULL AS ${type}) AS ${quoteName(name)}`;
}
