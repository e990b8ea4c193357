/**
 * Looks at the rows of a shipment of aggregates, for `checkPartials`.
 */
import { partColumnName, sketchPattern, type AggregateFacts } from '@varve/common/contract/aggregate.js';
import { timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import { aggregateFields, type AggregateField } from '../delta/aggregate-columns.js';
import type { Session } from '../delta/duckdb.js';
import { quoteName, quotePath, quoteText } from '../delta/sql-text.js';
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
  const isBroken = aggregateFields(fields).flatMap(({ columns }) => sketchFault(columns) ?? []);
  const [row = {}] = await session.rows(`
    SELECT
      count(*) - count(${quoteName(partColumnName)}) AS without_part,
      count_if(${startUs} % ${everyUs} <> 0) AS beside_windows,
      count_if(${['false', ...isOutside].join(' OR ')}) AS times_outside,
      count_if(${['false', ...isBroken].join(' OR ')}) AS broken_sketches
    FROM read_parquet(${quotePath(path)}, hive_partitioning = false)`);
  return {
    withoutPart: Number(row['without_part']),
    besideWindows: Number(row['beside_windows']),
    timesOutside: Number(row['times_outside']),
    brokenSketches: Number(row['broken_sketches']),
  };
}

/** 2,049 bins of 25 characters. */
const sketchCharsMax = 60_000;

/** True where a sketch cannot be read, or holds more or fewer values than there are; null where there is none. */
function sketchFault(columns: AggregateField['columns']): string | undefined {
  const [sketch, count] = [columns.get('sketch'), columns.get('count')];
  if (!sketch || !count) return undefined;
  const text = quoteName(sketch.name);
  const counts = `list_transform(string_split(${text}, ' '), lambda bin: try_cast(split_part(bin, ':', 2) AS BIGINT))`;
  const values = `list_transform(string_split(${text}, ' '), lambda bin: try_cast(split_part(bin, ':', 1) AS DOUBLE))`;
  return `CASE WHEN length(${text}) > ${sketchCharsMax} OR NOT regexp_full_match(${text}, ${quoteText(sketchPattern)}) THEN true
      ELSE list_count(${counts}) <> len(${counts}) OR list_count(${values}) <> len(${values}) OR list_sum(${counts}) <> ${quoteName(count.name)} END`;
}
