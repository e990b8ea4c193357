/**
 * Where the newest row of every series can be, for `latest('table')`: pure, and exact where the series register knows the
 * version that is asked for; otherwise everywhere.
 *
 * 1. A statement reads them from a view of its own (`"main latest"."readings"`, a name that the guard lets nobody write), which
 *    shows the table's rows from `sinceUs` on and at the instants in `others`.
 * 2. A file without any instant at which a series has its newest row is not read.
 *
 * Rows that are not the newest of their series pass too: `latest` chooses among what it gets. `others` keep a few series that
 * have been silent for long from making it read everything since.
 */
import type { RowsExtent, Snapshot } from '../delta/snapshot.js';
import { quoteName, quoteText } from '../delta/sql-text.js';
import { formatTableName } from '../delta/table-metadata.js';
import type { LatestRows } from '../latest/series.js';

/** What is known of the newest rows of exactly that version; undefined where nothing is. Never waits. */
export type KnownNewest = (snapshot: Snapshot) => LatestRows | undefined;

export interface NewestTimes {
  /** Of each series' newest row, µs, in order, once each. */
  readonly timesUs: readonly number[];
  /** Every series that is not at one of `others` has its newest row at or after this. */
  readonly sinceUs: number;
  readonly others: readonly number[];
}

/** Each is compared with every row that is looked at. */
const othersMax = 32;

export function newestTimes(rows: LatestRows): NewestTimes {
  const timesUs = [...new Set([...rows.values()].map(({ timeUs }) => timeUs))].sort((a, b) => a - b);
  const others = timesUs.slice(0, Math.min(othersMax, timesUs.length - 1));
  return { timesUs, others, sinceUs: timesUs[others.length] ?? Number.NEGATIVE_INFINITY };
}

export function mayHoldNewest({ minTimeUs, maxTimeUs }: RowsExtent, { timesUs }: NewestTimes): boolean {
  let [low, high] = [0, timesUs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((timesUs[middle] ?? 0) < minTimeUs) low = middle + 1;
    else high = middle;
  }
  return (timesUs[low] ?? Number.POSITIVE_INFINITY) <= maxTimeUs;
}

/** The table under the name of its newest rows. */
export function newestOf(snapshot: Snapshot): Snapshot {
  const { database, table } = snapshot.name;
  return { ...snapshot, name: { database: newestDatabase(database), table } };
}

/** No name of ours has a space. */
export function newestDatabase(database: string): string {
  return `${database} latest`;
}

const sinceName = ({ name }: Snapshot) => `${formatTableName(name)} since`;
const othersName = ({ name }: Snapshot) => `${formatTableName(name)} others`;

/** A condition on rows of the view. @param newest as `newestOf` has it */
export function newestCondition(newest: Snapshot): string {
  return `time >= getvariable(${quoteText(sinceName(newest))}) OR list_contains(getvariable(${quoteText(othersName(newest))}), time)`;
}

/** Sets what the condition compares with. */
export function newestTimesSql(newest: Snapshot, times: NewestTimes | undefined): string {
  const instant = (us: number) =>
    Number.isFinite(us) ? `make_timestamptz(${us})` : `'-infinity'::TIMESTAMPTZ`;
  const { sinceUs, others } = times ?? { sinceUs: Number.NEGATIVE_INFINITY, others: [] };
  return (
    `SET VARIABLE ${quoteName(sinceName(newest))} = ${instant(sinceUs)}; ` +
    `SET VARIABLE ${quoteName(othersName(newest))} = [${others.map(instant).join(', ')}]::TIMESTAMPTZ[]`
  );
}
