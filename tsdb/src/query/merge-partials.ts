/**
 * Partials to windows: how a query sees a table of aggregates (common/contract/aggregate.ts). Pure.
 *
 * One row per (tags without part, time); every column is what its aggregate would be over all the window's rows, however
 * they were spread over partials. A partial without a value of a field has null there, which no aggregate function counts;
 * of a window without one, the count is 0 and the rest is null.
 *
 * 1. Time, tags and day are the groups, so that conditions on them go below the merge, down to the files: DuckDB reads the
 *    row groups they name and no others. Aggregates that a query does not ask for are not computed.
 * 2. `first` is the value at the smallest `first_time`, `last` at the greatest `last_time`. Of two partials with the same
 *    instant the parts decide, by their hashes: which one is chance, and always the same one.
 * 3. Time and hash are one integer. A pair of time and part would order ties by name, but its states cannot be spilled:
 *    5 million windows within 300 MB then fail, and 1 million take twice as long.
 *
 * 4. Sketches are merged by writing one behind the other. A quantile is then found in the group's text alone: its bins, sorted
 *    by value and counted up until enough are below. It is null where a part of the window has no sketch, and never
 *    beyond the smallest and greatest value.
 *
 * The price of merging is a hash table of the windows that a query's conditions on time and tags let through, which spills
 * to disk; `count(*)` and the newest ten rows cost as much as reading these windows.
 */
import {
  partColumnName,
  quantileColumnName,
  type AggregateFacts,
  type AggregateFunction,
} from '@varve/common/contract/aggregate.js';
import {
  dayColumnName,
  timeColumnName,
  type Field,
  type FieldType,
  type TableColumns,
  type Tag,
} from '@varve/common/contract/columns.js';
import { aggregateFields, type AggregateField } from '../delta/aggregate-columns.js';
import { quoteName, sqlType } from '../delta/sql-text.js';

/** A column of windows. */
export interface MergedColumn extends Tag {
  readonly type: FieldType | 'timestamp';
  /** Over the partials of one window. */
  readonly sql: string;
}

export function mergedTags({ tags }: TableColumns): readonly Tag[] {
  return tags.filter(({ name }) => name !== partColumnName);
}

const shownFunctions = [
  'count',
  'mean',
  'min',
  'max',
  'sum',
  'first',
  'last',
  'first_time',
  'last_time',
  'sketch',
] as const;

/** Field by field, in the order in which they are shown. */
export function mergedColumns(
  { tags, fields }: TableColumns,
  { quantiles = [] }: Pick<AggregateFacts, 'quantiles'>,
): MergedColumn[] {
  const isTag = (name: string) => tags.some((tag) => tag.name === name);
  return aggregateFields(fields).flatMap((field) => [
    ...shownFunctions.flatMap(
      (wanted) => (wanted === 'mean' ? meanColumn(field) : mergedColumn(field, wanted)) ?? [],
    ),
    ...quantiles
      .flatMap((quantile) => quantileColumn(field, quantile) ?? [])
      .filter(({ name }) => !isTag(name)),
  ]);
}

function meanColumn({ name, columns }: AggregateField): MergedColumn | undefined {
  const [count, sum] = [columns.get('count'), columns.get('sum')];
  if (!count || !sum) return undefined;
  const sql = `sum(${quoteName(sum.name)}) / nullif(sum(${quoteName(count.name)}), 0)`;
  return { name: `${name}_mean`, type: 'double', sql };
}

function mergedColumn({ columns }: AggregateField, wanted: AggregateFunction): MergedColumn | undefined {
  const column = columns.get(wanted);
  if (!column) return undefined;
  const value = quoteName(column.name);
  switch (wanted) {
    case 'count':
      // Sums of integers are 128 bits wide, and null where all partials are.
      return { ...column, sql: `coalesce(sum(${value}), 0)::${sqlType(column.type)}` };
    case 'sum':
    case 'min':
    case 'max':
      return { ...column, sql: `${wanted}(${value})` };
    case 'first':
      return valueAt('arg_min', column, columns.get('first_time'));
    case 'last':
      return valueAt('arg_max', column, columns.get('last_time'));
    case 'first_time':
      return { ...column, type: 'timestamp', sql: `make_timestamptz(min(${value}))` };
    case 'sketch':
      return { ...column, sql: `string_agg(${value}, ' ')` };
    case 'last_time':
      return { ...column, type: 'timestamp', sql: `make_timestamptz(max(${value}))` };
  }
}

function valueAt(
  choose: 'arg_min' | 'arg_max',
  column: Field,
  instant: Field | undefined,
): MergedColumn | undefined {
  if (!instant) return undefined;
  // 64 bits of microseconds before 64 bits of hash.
  const order = `${quoteName(instant.name)}::HUGEINT * 18446744073709551616 + hash(${quoteName(partColumnName)})`;
  return { ...column, sql: `${choose}(${quoteName(column.name)}, ${order})` };
}

function quantileColumn({ name, columns }: AggregateField, quantile: number): MergedColumn | undefined {
  const names = (['sketch', 'count', 'min', 'max'] as const).map((wanted) => columns.get(wanted)?.name);
  const [sketch, count, low, high] = names.map((column) => column && quoteName(column));
  if (!sketch || !count || !low || !high) return undefined;
  const hasAll = `count(${sketch}) > 0 AND coalesce(sum(${count}) FILTER (WHERE ${sketch} IS NULL), 0) = 0`;
  const found = quantileSql(`string_agg(${sketch}, ' ')`, `sum(${count})`, quantile);
  const sql = `CASE WHEN ${hasAll} THEN greatest(min(${low})::DOUBLE, least(max(${high})::DOUBLE, ${found})) END`;
  return { name: quantileColumnName(name, quantile), type: 'double', sql };
}

/** Of the values in a sketch, `count` of them: the one with `quantile` of the others below it. README shows it to users. */
function quantileSql(sketch: string, count: string, quantile: number): string {
  const bin = `{value: try_cast(split_part(text, ':', 1) AS DOUBLE), upTo: try_cast(split_part(text, ':', 2) AS DOUBLE)}`;
  const bins = `list_sort(list_transform(string_split(${sketch}, ' '), lambda text: ${bin}))`;
  const rank = `${quantile} * (${count} - 1)`;
  return `list_reduce(${bins}, lambda found, bin: CASE WHEN found.upTo > ${rank} THEN found
    ELSE {value: bin.value, upTo: found.upTo + bin.upTo} END).value`;
}

/** @param partials a SELECT of all columns of the table */
export function mergeSql(columns: TableColumns, facts: AggregateFacts, partials: string): string {
  const groups = [timeColumnName, ...mergedTags(columns).map(({ name }) => name)].map(quoteName);
  const day = quoteName(dayColumnName);
  const merged = mergedColumns(columns, facts).map(({ name, sql }) => `${sql} AS ${quoteName(name)}`);
  return `SELECT ${[...groups, ...merged, day].join(', ')} FROM (${partials}) GROUP BY ${[...groups, day].join(', ')}`;
}
