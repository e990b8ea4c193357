/**
 * A log becomes a snapshot: actions are applied commit after commit (PROTOCOL.md, "Action Reconciliation").
 *
 * 1. Within a commit, the protocol acts first, so that a table is refused for the feature and not for what follows from it;
 *    schema and removes act before adds: a path may be replaced, and bounds are of the new columns.
 * 2. The newest `metaData`, `protocol` and, per appId, `txn` win.
 * 3. Files and transactions are edits of the maps of the snapshot before, so that one more commit costs what it changes;
 *    `finish` hands them over and ends the replay.
 */
import assert from 'node:assert';
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import type { TableColumns } from '@varve/common/contract/columns.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import { requireReadable, type Action, type Add, type MetaData, type Protocol } from './actions.js';
import { toDataFile } from './data-file.js';
import { layoutOf, type BoundsLayout } from './file-bounds.js';
import { PersistentMap, type MapEdit } from './persistent-map.js';
import { parseSchema } from './schema.js';
import type { DataFile, Snapshot } from './snapshot.js';
import { formatTableName, readAggregateFacts, requireDayPartition } from './table-metadata.js';

/** A snapshot with what a writer needs to go on from it. */
export interface TableState extends Snapshot {
  readonly files: PersistentMap<DataFile>;
  readonly transactions: PersistentMap<number>;
  readonly metaData: MetaData;
  readonly protocol: Protocol;
}

/** What a log becomes, in one use: a checkpoint, if there is one, then commits in order, none left out, then `finish`. */
export interface LogFold<Result> {
  /** -1 before the first commit. */
  readonly version: number;
  /** From a checkpoint of `version`, whose files follow by `add`. */
  begin(version: number, actions: readonly Action[]): void;
  add(add: Add): void;
  apply(version: number, actions: readonly Action[]): void;
  finish(): Result;
}

/** The fold of a log to one of our tables. */
export class Replay implements LogFold<TableState> {
  readonly #name: TableName;
  readonly #table: string;
  readonly #files: MapEdit<DataFile>;
  readonly #transactions: MapEdit<number>;
  readonly #onAdd: ((add: Add) => void) | undefined;
  #version: number;
  #metaData: MetaData | undefined;
  #protocol: Protocol | undefined;
  #columns: TableColumns | undefined;
  #aggregate: AggregateFacts | undefined;
  #layout: BoundsLayout | undefined;

  /** `onAdd` sees every `add` as it stands in the log. */
  constructor(name: TableName, base?: TableState, onAdd?: (add: Add) => void) {
    this.#name = name;
    this.#onAdd = onAdd;
    this.#table = formatTableName(name);
    this.#files = (base?.files ?? PersistentMap.empty<DataFile>()).edit();
    this.#transactions = (base?.transactions ?? PersistentMap.empty<number>()).edit();
    this.#version = base?.version ?? -1;
    this.#metaData = base?.metaData;
    this.#protocol = base?.protocol;
    this.#columns = base?.columns;
    this.#aggregate = base?.aggregate;
    this.#layout = base && layoutOf(base.columns);
  }

  get version(): number {
    return this.#version;
  }

  begin(version: number, actions: readonly Action[]): void {
    assert.equal(this.#version, -1, 'a checkpoint comes first');
    this.apply(0, actions);
    this.#version = version;
  }

  apply(version: number, actions: readonly Action[]): void {
    assert.equal(version, this.#version + 1, 'commits are applied in order, none left out');
    for (const action of actions) if ('protocol' in action) this.#setProtocol(action.protocol);
    for (const action of actions)
      if ('metaData' in action) this.#setMetaData(action.metaData);
      else if ('remove' in action) this.#files.delete(action.remove.path);
    for (const action of actions)
      if ('add' in action) this.add(action.add);
      else if ('txn' in action) this.#transactions.set(action.txn.appId, action.txn.version);
    this.#version = version;
  }

  add(add: Add): void {
    this.#onAdd?.(add);
    this.#files.set(add.path, toDataFile(this.#name, add, this.#layout));
  }

  #setMetaData(metaData: MetaData): void {
    requireDayPartition(this.#table, metaData);
    this.#columns = parseSchema(this.#table, metaData.schemaString);
    this.#layout = layoutOf(this.#columns);
    this.#aggregate = readAggregateFacts(this.#table, metaData);
    this.#metaData = metaData;
  }

  #setProtocol(protocol: Protocol): void {
    requireReadable(this.#table, protocol);
    this.#protocol = protocol;
  }

  /** @throws Failure `table_unreadable` when the log never said what the table is */
  finish(): TableState {
    const [columns, metaData, protocol] = [this.#columns, this.#metaData, this.#protocol];
    if (columns === undefined || metaData === undefined || protocol === undefined)
      throw new Failure(
        'table_unreadable',
        `the log of table ${this.#table} begins without a protocol or schema`,
        {
          facts: { table: this.#table },
        },
      );
    return {
      name: this.#name,
      version: this.#version,
      columns,
      aggregate: this.#aggregate,
      files: this.#files.finish(),
      transactions: this.#transactions.finish(),
      metaData,
      protocol,
    };
  }
}

/** The state after one more commit. */
export function applyCommit(
  name: TableName,
  state: TableState | undefined,
  version: number,
  actions: readonly Action[],
): TableState {
  const replay = new Replay(name, state);
  replay.apply(version, actions);
  return replay.finish();
}
