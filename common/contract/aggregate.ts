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
 * | x_sketch                   | string      | one after the other, with a space  | double, long; optional |
 *
 * A field has all the columns of its type, null where the partial has no value of it. No tag ends with one of these functions
 * or with `_mean`, which queries derive, as they derive `x_p50` and other quantiles from the sketch.
 *
 * A sketch says how the values are distributed: `19.836:3 20.235:1` is three values within 1 % of 19.836, and one of 20.235.
 * Bins are DDSketch's, each written as the value that stands for it, with its count; they may come in any order, and one of
 * them several times. So two sketches are merged by writing one behind the other, also of different accuracy, and a
 * quantile needs no more than sorting. At most 2,049 bins a partial: beyond that the values nearest to 0 share one.
 *
 * The shipment's metadata and the table's configuration carry `varve.aggregate`, the width, and the quantiles that queries
 * show: `{"every_ms":10000,"quantiles":[0.5,0.99]}`.
 */

/** The tag that keeps partials apart. */
export const partColumnName = 'part';
/** Key of a shipment's metadata, and of a Delta table's configuration. */
export const aggregateKey = 'varve.aggregate';

export interface AggregateFacts {
  /** Width of the windows. */
  readonly everyMs: number;
  /** Those that queries show, ascending, between 0 and 1; absent: none. */
  readonly quantiles?: readonly number[];
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
  'sketch',
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

/** `x_p50`, `x_p99_9`. */
export function quantileColumnName(field: string, quantile: number): string {
  return `${field}_p${String(Number((quantile * 100).toPrecision(10))).replace('.', '_')}`;
}

/** What agents write into a sketch: bins apart by a space, each a value and its count. */
export const sketchPattern = '-?[0-9.]+(e[+-]?[0-9]+)?:[1-9][0-9]*( -?[0-9.]+(e[+-]?[0-9]+)?:[1-9][0-9]*)*';
/** Of the values that a sketch holds and those that it says. */
export const sketchAccuracy = 0.01;

/** Of one stream; a table may show those of several. */
export const quantilesMax = 20;
export const tableQuantilesMax = 100;

export function formatAggregateFacts({ everyMs, quantiles = [] }: AggregateFacts): string {
  return JSON.stringify({ every_ms: everyMs, ...(quantiles.length > 0 && { quantiles }) });
}

/** Ascending, each once. */
export function sortQuantiles(quantiles: readonly number[]): number[] {
  return [...new Set(quantiles)].sort((a, b) => a - b);
}

/** Of a table that shipments with these facts come to. */
export function joinAggregateFacts(table: AggregateFacts, shipment: AggregateFacts): AggregateFacts {
  const known = new Set(table.quantiles);
  const added = (shipment.quantiles ?? []).filter((quantile) => !known.has(quantile));
  const room = tableQuantilesMax - known.size;
  return added.length === 0 || room <= 0
    ? table
    : { ...table, quantiles: sortQuantiles([...known, ...added.slice(0, room)]) };
}
