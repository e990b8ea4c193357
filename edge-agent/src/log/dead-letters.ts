/** Messages that no stream could read, within a bound. Runs inside the transactions of `SqliteLog`. */
import { boundedLetter } from './bounded-letter.js';
import { deadLettersMax, type DeadLetter } from './edge-log.js';
import { letterOf, type LetterRow } from './letter-replay.js';
import type { LogStatements } from './log-database.js';
import { lossesOfDeadLetters, type Loss } from './loss.js';
import type { LossLedger } from './loss-ledger.js';

export class DeadLetters {
  readonly #statements: LogStatements;
  readonly #ledger: LossLedger;
  readonly #bytesMax: number;

  constructor(statements: LogStatements, ledger: LossLedger, bytesMax: number) {
    this.#statements = statements;
    this.#ledger = ledger;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return (this.#statements.deadLetters.get() as { count: number }).count;
  }

  /** Keeps those that it does not have yet, and writes down their loss. Returns how many older ones it had to drop. */
  add(letters: readonly DeadLetter[], nowMs: number): number {
    const { insertDeadLetter } = this.#statements;
    const inserted = letters.filter((letter) => {
      const refusedBy = JSON.stringify(letter.refusedBy);
      return insertDeadLetter.run({ ...boundedLetter(letter), refusedBy }).changes > 0;
    });
    this.#ledger.add(lossesOfDeadLetters(inserted, nowMs));
    return this.#drop(nowMs);
  }

  newest(limit: number): DeadLetter[] {
    return (this.#statements.readDeadLetters.all(limit) as LetterRow[]).map(letterOf);
  }

  /** The oldest of a range. */
  within(fromSeq: number, endSeq: number, limit: number): DeadLetter[] {
    const rows = this.#statements.deadLettersFrom.all({ fromSeq, endSeq, limit }) as LetterRow[];
    return rows.map(letterOf);
  }

  #drop(whenMs: number): number {
    const { deadLetters, oldestDeadLetters, dropOldestDeadLetters } = this.#statements;
    const { count, bytes } = deadLetters.get() as { count: number; bytes: number };
    if (count <= deadLettersMax && bytes <= this.#bytesMax) return 0;
    // A tenth at a time, so that a flood does not pay for this with every window.
    const surplus = Math.max(count - deadLettersMax, 0) + Math.ceil(deadLettersMax / 10);
    this.#ledger.add(oldestDeadLetters.all({ whenMs, count: surplus }) as Loss[]);
    return dropOldestDeadLetters.run(surplus).changes;
  }
}
