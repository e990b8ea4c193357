/**
 * Every table of the store, in memory, each at the newest version this process has seen.
 *
 * 1. A table not known yet is read from its newest checkpoint; a known one asks for the next version and reads on if it is
 *    there. After a pause that is not enough: the log may have been cleaned up beyond the snapshot.
 * 2. Our own commits are applied without reading them back.
 * 3. A snapshot only ever gives way to a later one, whoever comes first.
 * 4. A table that cannot be read is a problem that is reported; it keeps its last readable snapshot and stops no other.
 *
 * Bounds: requests are limited in number at a time, not in total; memory is what the snapshots hold.
 */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '@varve/common/clock.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { isFailure, type Failure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { Store } from '@varve/common/store/store.js';
import type { Action } from './actions.js';
import { mapBounded } from './bounded.js';
import { CheckpointFiles } from './checkpoint-files.js';
import { DeltaLog } from './delta-log.js';
import { listTables } from './list-tables.js';
import { listLog } from './log-listing.js';
import { findMissingFiles } from './find-missing-files.js';
import { deletedFileRetentionMs } from './intervals.js';
import { LogReader, versionExpired, type PastState, type VersionTarget } from './log-reader.js';
import { readCommits } from './read-commits.js';
import { applyCommit, Replay, type TableState } from './replay.js';
import type { TableCatalog } from './snapshot.js';
import { formatTableName } from './table-metadata.js';

const tablesAtOnceMax = 8;
/** A snapshot of a large table takes hundreds of megabytes. */
const pastStatesMax = 2;
/** Far below any log retention. */
const pauseMsMin = 10 * 60_000;

export interface TableProblem {
  readonly name: TableName;
  readonly failure: Failure;
  readonly sinceMs: number;
}

export class DeltaCatalog implements TableCatalog {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #deltaLog: DeltaLog;
  readonly checkpointFiles: CheckpointFiles;
  readonly #reader: LogReader;
  /** By table, when the store last said what is newest. */
  readonly #seenMs = new Map<string, number>();
  readonly #states = new Map<string, TableState>();
  /** By table and version, in order of their last use. */
  readonly #past = new Map<string, PastState>();
  readonly #ownVersions = new Map<string, number>();
  readonly #problems = new Map<string, TableProblem>();
  readonly #tableRefreshes = new Map<string, Promise<TableState | undefined>>();
  #refresh: Promise<void> | undefined;
  #current: readonly TableState[] = [];

  /** `scratchFolder` is for local copies of checkpoints, and of this catalog alone. */
  constructor(
    store: Store,
    clock: Clock,
    log: Logger,
    scratchFolder = join(tmpdir(), `varve-log-${randomUUID()}`),
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#deltaLog = new DeltaLog(store, clock);
    this.checkpointFiles = new CheckpointFiles(store, scratchFolder);
    this.#reader = new LogReader(store, this.checkpointFiles);
  }

  /** Lets go of local files. Nothing may be under way. */
  async close(): Promise<void> {
    await this.checkpointFiles.close();
  }

  current(): readonly TableState[] {
    return this.#current;
  }

  /** As of what is in memory, like `current`. */
  get(name: TableName): TableState | undefined {
    return this.#states.get(formatTableName(name));
  }

  /**
   * The table as it was. The last few that were asked for are kept.
   * @throws Failure `version_expired`, `version_not_found`, `table_unreadable`, or the store's
   */
  async snapshotAt(name: TableName, target: VersionTarget): Promise<TableState> {
    const current = this.get(name);
    if (!('version' in target)) return (await this.#readPast(name, target)).state;
    if (current?.version === target.version) return current;
    const id = `${formatTableName(name)}@${target.version}`;
    const known = this.#past.get(id) ?? (await this.#readPast(name, target));
    this.#past.delete(id);
    this.#past.set(id, known);
    for (const oldest of this.#past.keys()) if (this.#past.size > pastStatesMax) this.#past.delete(oldest);
    return known.state;
  }

  /** Long after a version was replaced, its files may be gone although its log is not. */
  async #readPast(name: TableName, target: VersionTarget): Promise<PastState> {
    const past = await this.#reader.readAt(name, target);
    const current = (await this.refreshTable(name)) ?? past.state;
    const retentionMs = deletedFileRetentionMs(current.metaData);
    if ((past.replacedMs ?? Infinity) > this.#clock.nowMs() - retentionMs) return past;
    const gone = [...past.state.files.values()].filter(({ path }) => !current.files.has(path));
    const missing = await findMissingFiles(this.#store, name, gone);
    if (missing.length === 0) return past;
    throw versionExpired(name, past.state.version, `${missing.length} of its files have been vacuumed`);
  }

  /** For those who look into a table's log. */
  get reader(): LogReader {
    return this.#reader;
  }

  /** The newest version that this process committed; -1 for none. */
  ownVersion(name: TableName): number {
    return this.#ownVersions.get(formatTableName(name)) ?? -1;
  }

  /** Tables that cannot be read, or not further than their snapshot. */
  problems(): readonly TableProblem[] {
    return [...this.#problems.values()];
  }

  /** @throws Failure when the store fails. Unreadable tables do not throw, they are `problems`. */
  async refresh(): Promise<void> {
    this.#refresh ??= this.#refreshAll().finally(() => (this.#refresh = undefined));
    await this.#refresh;
  }

  async #refreshAll(): Promise<void> {
    const known = this.#current.map(({ name }) => name);
    const byText = new Map(
      [...known, ...(await listTables(this.#store))].map((name) => [formatTableName(name), name]),
    );
    await mapBounded([...byText.values()], tablesAtOnceMax, async (name) => {
      try {
        await this.refreshTable(name);
      } catch (error) {
        if (!isFailure(error) || error.kind !== 'corrupt') throw error;
      }
    });
  }

  /**
   * Sees what has been committed to one table. Concurrent calls for it share one run.
   * Returns undefined when there is no such table. @throws Failure `table_unreadable` or the store's
   */
  async refreshTable(name: TableName): Promise<TableState | undefined> {
    const text = formatTableName(name);
    let run = this.#tableRefreshes.get(text);
    if (!run) {
      run = this.#readOn(name).finally(() => this.#tableRefreshes.delete(text));
      this.#tableRefreshes.set(text, run);
    }
    return await run;
  }

  async #readOn(name: TableName): Promise<TableState | undefined> {
    try {
      const state = this.get(name);
      const nowMs = this.#clock.nowMs();
      const seenMs = this.#seenMs.get(formatTableName(name)) ?? -Infinity;
      if (!state) await this.#readNewest(name);
      else if (
        Math.abs(nowMs - seenMs) > pauseMsMin ||
        (await this.#deltaLog.hasVersion(name, state.version + 1))
      )
        await this.#readTail(name, state);
      this.#seenMs.set(formatTableName(name), nowMs);
      this.#setProblem(name, undefined);
    } catch (error) {
      if (isFailure(error) && error.kind === 'corrupt') this.#setProblem(name, error);
      throw error;
    }
    return this.get(name);
  }

  async #readNewest(name: TableName): Promise<void> {
    const state = await this.#reader.readNewest(name);
    if (state) this.#accept(state);
  }

  /** Where commits are missing because they were cleaned up, the newest checkpoint has them. */
  async #readTail(name: TableName, state: TableState): Promise<void> {
    const { commits } = await listLog(this.#store, name, state.version + 1);
    const versions = commits.map(({ version }) => version);
    const isContiguous = versions.every((version, index) => version === state.version + 1 + index);
    if (!isContiguous) {
      await this.#readNewest(name);
      return;
    }
    const replay = new Replay(name, state);
    for await (const { version, actions } of readCommits(this.#store, name, versions))
      replay.apply(version, actions);
    this.#accept(replay.finish());
  }

  /** After our own commit of `version`: the table is there without being read again. */
  applied(name: TableName, version: number, actions: readonly Action[]): void {
    this.#ownVersions.set(formatTableName(name), version);
    const state = this.get(name);
    // Otherwise a refresh has seen it already, or will.
    if ((state?.version ?? -1) === version - 1) this.#accept(applyCommit(name, state, version, actions));
  }

  #accept(state: TableState): void {
    const text = formatTableName(state.name);
    if ((this.#states.get(text)?.version ?? -1) >= state.version) return;
    this.#states.set(text, state);
    this.#current = [...this.#states.values()].sort(byName);
  }

  /** Logs when a table breaks and when it is mended, not in between. */
  #setProblem(name: TableName, failure: Failure | undefined): void {
    const text = formatTableName(name);
    const before = this.#problems.get(text);
    if (failure) {
      if (before?.failure.message !== failure.message)
        this.#log.error({ table: text, code: failure.code, err: failure }, 'a table cannot be read');
      this.#problems.set(text, { name, failure, sinceMs: before?.sinceMs ?? this.#clock.nowMs() });
    } else if (this.#problems.delete(text)) {
      this.#log.info({ table: text }, 'a table can be read again');
    }
  }
}

function byName(left: TableState, right: TableState): number {
  return (
    compareText(left.name.database, right.name.database) || compareText(left.name.table, right.name.table)
  );
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
