/**
 * One version of one table, as the rest of tsdb sees it: columns, live files, and how far each lane has been committed.
 * Immutable: a later version is another object.
 */
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import type { TableColumns } from '@varve/common/contract/columns.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import type { FileBounds } from './file-bounds.js';

/** What is known of rows that lie together: a file's, or those of a part of it. */
export interface RowsExtent {
  /** UTC date of every row in it, `YYYY-MM-DD`. */
  readonly day: string;
  /** First and last `time` in it, microseconds since 1970 UTC, both inclusive; never narrower than the truth. */
  readonly minTimeUs: number;
  readonly maxTimeUs: number;
  /** Read with `boundsOf`. Absent: nothing is known of its columns. */
  readonly bounds?: FileBounds | undefined;
}

/** A live data file. Rows in it are sorted by tags, then time, and no two share (tags, time). */
export interface DataFile extends RowsExtent {
  /** `add.path`: relative to the table's root, the file's identity in the log. */
  readonly path: string;
  /** The object's key in the store. */
  readonly key: string;
  readonly bytes: number;
  readonly rowCount: number;
  /** How far compaction has brought it, 0 for what ingest wrote; of other writers' files too (`add.tags`). */
  readonly level: number;
  /** When it was added, by its writer's wall clock. */
  readonly addedMs: number;
}

export interface Snapshot {
  readonly name: TableName;
  /** The Delta version, counted from 0. */
  readonly version: number;
  readonly columns: TableColumns;
  /** Of a table of aggregates, whose rows are partials; absent where rows are rows. */
  readonly aggregate?: AggregateFacts | undefined;
  /** By `path`, in no particular order. */
  readonly files: ReadonlyMap<string, DataFile>;
  /** `txn.version` by `txn.appId`: the last shipment of each lane that is in the table. */
  readonly transactions: ReadonlyMap<string, number>;
}

/** The tables there are, each at the newest version this process has seen. */
export interface TableCatalog {
  /** In order of database, then table. Never waits: reads what is in memory. */
  current(): readonly Snapshot[];
  /** Sees what other processes have committed since. Safe to call at any time; concurrent calls share one run. */
  refresh(): Promise<void>;
  /** A table as it was. @throws Failure where there is no such version any more */
  snapshotAt?(
    name: TableName,
    at: { readonly version: number } | { readonly timeMs: number },
  ): Promise<Snapshot>;
}
