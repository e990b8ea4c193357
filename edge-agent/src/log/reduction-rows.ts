/**
 * What is durable of reducers. Runs inside the transactions of `SqliteLog`. Each row has a checksum of its own, so it is not
 * sealed: it may be megabytes.
 */
import type { ReductionChange, ReductionState } from './edge-log.js';
import type { LogStatements } from './log-database.js';

export class ReductionRows {
  readonly #statements: LogStatements;

  constructor(statements: LogStatements) {
    this.#statements = statements;
  }

  read(): ReductionState {
    const { reductions, reducedSeq } = this.#statements;
    return {
      nextSeq: reducedSeq.pluck().get() as number,
      states: reductions.all() as { table: string; bytes: Buffer }[],
    };
  }

  write(changes: readonly ReductionChange[], nextSeq: number): void {
    const { setReducedSeq, addReduction, clearReductions } = this.#statements;
    for (const { table, isWhole, bytes } of changes) {
      if (isWhole) clearReductions.run(table);
      if (bytes) addReduction.run(table, bytes);
    }
    setReducedSeq.run(nextSeq);
  }
}
