/**
 * Looks at the rows of a shipment of aggregates, for `checkPartials`.
 */
import { partColumnName, type AggregateFacts } from '@varve/common/contract/aggregate.js';
import { timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import { aggregateFields } from '../delta/aggregate-columns.js';
import type { Session } from '../delta/duckdb.js';
import { quoteName, quotePath } from '../delta/sql-text.js';
import type { PartialFaults } from './check-aggregate.js';

export async function readPartialFaults(
  session: Session,
  path: string,
  { fields }: TableColumns,
  { everyMs }: AggregateFacts,
): Promise<PartialFaults> {
  const [startUs, everyUs] = [`epoch_us(${quoteName(timeColumnName)})`, `(${everyMs} * 1000::BIGINT)`];
  const times = aggregateFields(fields).flatMap(({ columns }) =>
    [columns.get('first_time'), columns.get('last_time')].flatMap((column) => column?.name ?? []),
  );
  // Where a window has no value of a field, null makes the condition null, which is not counted.
  const isOutside = times.map((name) => `${quoteName(name)} - ${startUs} NOT BETWEEN 0 AND ${everyUs} - 1`);
  const [row = {}] = await session.rows(`
    SELECT
      count(*) - count(${quoteName(partColumnName)}) AS without_part,
      count_if(${startUs} % ${everyUs} <> 0) AS beside_windows,
      count_if(${['false', ...isOutside].join(' OR ')}) AS times_outside
    FROM read_parquet(${quotePath(path)}, hive_partitioning = false)`);
  return {
    withoutPart: Number(row['without_part']),
    besideWindows: Number(row['beside_windows']),
    timesOutside: Number(row['times_outside']),
  };
}
