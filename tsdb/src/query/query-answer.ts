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

export interface AnswerColumn {
  readonly name: string;
  readonly type: DuckDBType;
}

/** The first `rowCount` rows of the chunk. */
export interface RowBatch {
  readonly chunk: DuckDBDataChunk;
  readonly rowCount: number;
}

export interface AnswerStats {
  readonly elapsedMs: number;
  /** Data files that may hold an answer. */
  readonly files: readonly DataFile[];
  /** Read of them. */
  readonly bytes: number;
  readonly tables: readonly Snapshot[];
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

export class QueryAnswer {
  readonly queryId: string;
  readonly columns: readonly AnswerColumn[];
  readonly #parts: AnswerParts;
  #rowCount = 0;
  #isTruncated = false;
  #error: unknown;
  #closing: Promise<void> | undefined;

  constructor(parts: AnswerParts) {
    const { result } = parts;
    this.#parts = parts;
    this.queryId = parts.queryId;
    this.columns = result.columnNames().map((name, index) => ({ name, type: result.columnType(index) }));
  }

  /** So far. */
  get rowCount(): number {
    return this.#rowCount;
  }

  /** True when there were more rows than asked for. Known when the batches have ended. */
  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  get stats(): AnswerStats {
    return this.#parts.stats();
  }

  /** For an answer that is cut off for another reason than its rows. */
  cutOff(): void {
    this.#isTruncated = true;
  }

  /** @throws the reason of the query's signal, or Failure `query_failed` when DuckDB fails on the way */
  async *batches(): AsyncGenerator<RowBatch> {
    try {
      yield* this.#batches();
    } catch (error) {
      this.#error = error;
      throw error;
    }
  }

  /** The next batch is fetched while this one is taken. */
  async *#batches(): AsyncGenerator<RowBatch> {
    const { rowsMax, result, call, signal, countRows } = this.#parts;
    const fetch = () => {
      const fetched = call(() => result.fetchChunk());
      // It may fail while a slow client takes the rows before it.
      fetched.catch(() => undefined);
      return fetched;
    };
    let next = fetch();
    try {
      while (true) {
        const chunk = await next;
        signal.throwIfAborted();
        if (chunk === null || chunk.rowCount === 0) break;
        const rowCount = Math.min(chunk.rowCount, rowsMax - this.#rowCount);
        this.#rowCount += rowCount;
        countRows(this.#rowCount);
        this.#isTruncated = rowCount < chunk.rowCount;
        if (!this.#isTruncated) next = fetch();
        if (rowCount > 0) yield { chunk, rowCount };
        if (this.#isTruncated) return;
      }
    } finally {
      // Whoever takes no more must not be followed by a fetch that goes on, nor by its failure.
      await next.catch(() => undefined);
    }
    if (!this.#parts.isWhole())
      throw new Failure('query_failed', `the query failed after ${this.#rowCount} rows`);
  }

  async close(): Promise<void> {
    this.#closing ??= this.#parts.release(this.#error);
    await this.#closing;
  }
}
