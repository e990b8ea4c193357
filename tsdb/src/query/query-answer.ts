/**
 * The rows of one query, batch by batch: never more of them in memory than two batches.
 *
 * An answer must never be silently short: that the rows have ended is believed only when the query says that it is whole.
 *
 * `close` must be called, also when not all rows were taken; it may be called twice.
 */
import type { DuckDBDataChunk, DuckDBResult, DuckDBType } from '@duckdb/node-api';
import { Failure } from '@varve/common/errors.js';
import type { DataFile, Snapshot } from '../delta/snapshot.js';
import type { CellVector } from './vector-memory.js';

export interface AnswerColumn {
  readonly name: string;
  readonly type: DuckDBType;
}

export interface RowBatch {
  readonly rowCount: number;
  /** A column. It may have more rows. */
  readonly vectorAt: (column: number) => CellVector;
}

export interface AnswerStats {
  readonly elapsedMs: number;
  /** Data files that may hold an answer. */
  readonly files: readonly DataFile[];
  /** Read of them. */
  readonly bytes: number;
  readonly tables: readonly Snapshot[];
}

/** Rows on their way to a client, wherever they come from. */
export interface Answer {
  readonly queryId: string;
  readonly columns: readonly AnswerColumn[];
  /** So far. */
  readonly rowCount: number;
  /** True when there were more rows than asked for. Known when the batches have ended. */
  readonly isTruncated: boolean;
  readonly stats: AnswerStats;
  /** Aborts when the query is ended early, with the reason; absent where no query runs. */
  readonly signal?: AbortSignal;
  /** @throws the reason of the query's signal, or Failure `query_failed` when DuckDB fails on the way */
  batches(): AsyncGenerator<RowBatch>;
  /** For an answer that is cut off for another reason than its rows. */
  cutOff(): void;
  close(): Promise<void>;
}

export interface AnswerParts {
  readonly queryId: string;
  readonly result: DuckDBResult;
  readonly rowsMax: number;
  readonly signal: AbortSignal;
  readonly stats: () => AnswerStats;
  /** Calls DuckDB within the bounds on such calls. */
  readonly call: <T>(work: () => Promise<T>) => Promise<T>;
  /** After the last row: false if the query failed behind it. */
  readonly isWhole: () => boolean;
  /** Says how many rows there were so far. */
  readonly countRows: (count: number) => void;
  readonly release: (error?: unknown) => Promise<void>;
}

export class QueryAnswer implements Answer {
  readonly queryId: string;
  readonly columns: readonly AnswerColumn[];
  readonly #parts: AnswerParts;
  /** The batch on its way: the first one from the start, and then the one after that which is taken. */
  #next: Promise<DuckDBDataChunk | null>;
  #rowCount = 0;
  #isTruncated = false;
  #error: unknown;
  #isEnded = false;
  #closing: Promise<void> | undefined;

  constructor(parts: AnswerParts) {
    const { result } = parts;
    this.#parts = parts;
    this.#next = this.#fetch();
    this.queryId = parts.queryId;
    this.columns = result.columnNames().map((name, index) => ({ name, type: result.columnType(index) }));
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  get stats(): AnswerStats {
    return this.#parts.stats();
  }

  get signal(): AbortSignal {
    return this.#parts.signal;
  }

  cutOff(): void {
    this.#isTruncated = true;
  }

  async *batches(): AsyncGenerator<RowBatch> {
    try {
      yield* this.#batches();
      this.#isEnded = true;
    } catch (error) {
      this.#error = error;
      throw error;
    }
  }

  #fetch(): Promise<DuckDBDataChunk | null> {
    const { call, result } = this.#parts;
    const fetched = call(() => result.fetchChunk());
    // It may fail while a slow client takes the rows before it.
    fetched.catch(() => undefined);
    return fetched;
  }

  /** The next batch is fetched while this one is taken. */
  async *#batches(): AsyncGenerator<RowBatch> {
    const { rowsMax, signal, countRows } = this.#parts;
    while (true) {
      const chunk = await this.#next;
      signal.throwIfAborted();
      if (chunk === null || chunk.rowCount === 0) break;
      const rowCount = Math.min(chunk.rowCount, rowsMax - this.#rowCount);
      this.#rowCount += rowCount;
      countRows(this.#rowCount);
      this.#isTruncated = rowCount < chunk.rowCount;
      if (!this.#isTruncated) this.#next = this.#fetch();
      if (rowCount > 0) yield { rowCount, vectorAt: (column) => chunk.getColumnVector(column) };
      if (this.#isTruncated) return;
    }
    if (!this.#parts.isWhole())
      throw new Failure('query_failed', `the query failed after ${this.#rowCount} rows`);
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    // No fetch may go on behind what is given back.
    await this.#next.catch(() => undefined);
    await this.#parts.release(this.#error ?? this.#endedEarlyBy());
  }

  /** Whoever took rows may not have come back for the next ones. */
  #endedEarlyBy(): unknown {
    const { signal } = this.#parts;
    return signal.aborted && !this.#isEnded ? signal.reason : undefined;
  }
}
