/** What is durable of aggregates. Runs inside the transactions of `SqliteLog`. */
import type { AggregateState, LogRange } from './edge-log.js';
import type { LogStatements } from './log-database.js';

export class AggregateRows {
  readonly #statements: LogStatements;

  constructor(statements: LogStatements) {
    this.#statements = statements;
  }

  read(): AggregateState {
    const { closedMs, openRanges } = this.#statements;
    const rows = closedMs.all() as { key: string; closedMs: number }[];
    return {
      closedMs: new Map(rows.map((row) => [row.key, row.closedMs])),
      openRanges: openRanges.all() as LogRange[],
    };
  }

  write({ closedMs, openRanges }: AggregateState): void {
    const { setClosedMs, clearOpenRanges, insertOpenRange } = this.#statements;
    for (const [key, ms] of closedMs) setClosedMs.run({ key, closedMs: ms });
    clearOpenRanges.run();
    for (const { firstSeq, endSeq } of openRanges) insertOpenRange.run({ firstSeq, endSeq });
  }
}
