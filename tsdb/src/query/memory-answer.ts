/** An answer whose rows are in memory: no query runs for it. */
import type { Answer, AnswerColumn, AnswerStats, RowBatch } from './query-answer.js';
import type { QueryEngine } from './query-engine.js';
import { defaultRowsMax, type QueryPlan } from './query-plan.js';

export class MemoryAnswer implements Answer {
  readonly columns: readonly AnswerColumn[];
  readonly #plan: QueryPlan;
  readonly #engine: QueryEngine;
  readonly #batches: Iterable<RowBatch>;
  #rowCount = 0;
  #isTruncated = false;
  #isClosed = false;

  constructor(
    plan: QueryPlan,
    engine: QueryEngine,
    { columns, batches }: { readonly columns: readonly AnswerColumn[]; readonly batches: Iterable<RowBatch> },
  ) {
    [this.#plan, this.#engine, this.#batches, this.columns] = [plan, engine, batches, columns];
  }

  get queryId(): string {
    return this.#plan.queryId;
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  get stats(): AnswerStats {
    const { tables } = this.#plan;
    return {
      elapsedMs: this.#engine.elapsedMs(this.#plan),
      files: tables.flatMap(({ files }) => files),
      bytes: 0,
      tables: tables.map(({ snapshot }) => snapshot),
    };
  }

  cutOff(): void {
    this.#isTruncated = true;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- where rows come from a query they are waited for
  async *batches(): AsyncGenerator<RowBatch> {
    const rowsMax = this.#plan.request.rowsMax ?? defaultRowsMax;
    for (const batch of this.#batches) {
      const rowCount = Math.min(batch.rowCount, rowsMax - this.#rowCount);
      this.#isTruncated = rowCount < batch.rowCount;
      this.#rowCount += rowCount;
      if (rowCount > 0) yield { ...batch, rowCount };
      if (this.#isTruncated) return;
    }
  }

  close(): Promise<void> {
    if (!this.#isClosed) this.#engine.noteAnswered(this.#plan, this.#rowCount);
    this.#isClosed = true;
    return Promise.resolve();
  }
}
