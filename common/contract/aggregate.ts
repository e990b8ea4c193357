/**
 * Tables of aggregates: what an agent writes for the windows of a stream, and what queries make of it. Part of contract
 * version 1.
 *
 * A row is a *partial*: what one shipment knows of one series and one tumbling window, [time, time + every), aligned to 1970
 * UTC. Several partials of one window add up to the window, in any order; a message that comes late makes one more partial.
 * So that partials of one (tags, time) do not replace each other, a tag `part` is in their identity: it names the agent,
 * its epoch and the place in its log.
 *
 * | column of field x          | type        | partials are merged by             | of fields          |
 * |----------------------------|-------------|------------------------------------|--------------------|
 * | x_count                    | long        | sum                                | all                |
 * | x_sum                      | double      | sum                                | double, long       |
 * | x_min, x_max               | type of x   | min, max                           | double, long       |
 * | x_first, x_last            | type of x   | the value of the earliest, latest  | all                |
 * | x_first_time, x_last_time  | long        | min, max (microseconds since 1970) | all                |
 *
 * A field has all the columns of its type, null where the partial has no value of it. No tag ends with one of these functions
 * or with `_mean`, which queries derive.
 *
 * The shipment's metadata and the table's configuration carry `varve.aggregate`, the width: `{"every_ms":10000}`.
 */

/** The tag that keeps partials apart. */
export const partColumnName = 'part';
/** Key of a shipment's metadata, and of a Delta table's configuration. */
export const aggregateKey = 'varve.aggregate';

export interface AggregateFacts {
  /** Width of the windows. */
  readonly everyMs: number;
}

// Longer ones first: `x_first_time` is not the `time` of a field `x_first`.
export const aggregateFunctions = [
  'first_time',
  'last_time',
  'count',
  'sum',
  'min',
  'max',
  'first',
  'last',
] as const;
export type AggregateFunction = (typeof aggregateFunctions)[number];

export function aggregateColumnName(field: string, wanted: AggregateFunction): string {
  return `${field}_${wanted}`;
}

/** Which field and function a column stands for; undefined where it is none of an aggregate. */
export function parseAggregateColumn(
  name: string,
): { readonly field: string; readonly function: AggregateFunction } | undefined {
  const found = aggregateFunctions.find((each) => name.endsWith(`_${each}`));
  return found && { field: name.slice(0, -found.length - 1), function: found };
}

export function formatAggregateFacts({ everyMs }: AggregateFacts): string {
  return JSON.stringify({ every_ms: everyMs });
}
