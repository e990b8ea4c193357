/**
 * Gaps: where the log has no block and need not, because its messages were evicted or set aside and are in the ledger. A gap
 * that is not among them is damage: a page of SQLite's tree that is gone takes its rows with it and may leave no error.
 *
 * Only from where the store may lack something: what lies before is forgotten. Neighbouring gaps are one row.
 */
import type Database from 'better-sqlite3';

export interface SeqRange {
  readonly firstSeq: number;
  /** One more than the last. */
  readonly endSeq: number;
}

/** Once, for a database that has been without this table: what is missing then counts as known. */
export const fillGaps = `
  INSERT INTO gaps SELECT previous_end, first_seq FROM (
    SELECT first_seq, lag(first_seq + message_count, 1, (SELECT next_seq FROM position))
      OVER (ORDER BY first_seq) AS previous_end
    FROM blocks WHERE first_seq >= (SELECT next_seq FROM position)
  ) WHERE first_seq > previous_end;
`;

const statementTexts = {
  within: `
      SELECT first_seq AS firstSeq, end_seq AS endSeq FROM gaps
      WHERE first_seq < @endSeq AND end_seq > @firstSeq ORDER BY first_seq`,
  touching: `
      SELECT min(first_seq) AS firstSeq, max(end_seq) AS endSeq FROM gaps
      WHERE first_seq <= @endSeq AND end_seq >= @firstSeq`,
  removeTouching: 'DELETE FROM gaps WHERE first_seq <= @endSeq AND end_seq >= @firstSeq',
  insert: 'INSERT INTO gaps VALUES (@firstSeq, @endSeq)',
  forget: 'DELETE FROM gaps WHERE end_seq <= ?',
} as const;

type GapStatements = Readonly<Record<keyof typeof statementTexts, Database.Statement>>;

export class Gaps {
  readonly #statements: GapStatements;

  constructor(prepare: (text: string) => Database.Statement) {
    const prepared = Object.entries(statementTexts).map(([name, text]) => [name, prepare(text)] as const);
    this.#statements = Object.fromEntries(prepared) as GapStatements;
  }

  /** Inside the transaction that deletes the blocks. */
  add({ firstSeq, endSeq }: SeqRange): void {
    if (firstSeq >= endSeq) return;
    const { touching, removeTouching, insert } = this.#statements;
    const range = { firstSeq, endSeq };
    const old = touching.get(range) as { firstSeq: number | null; endSeq: number | null };
    removeTouching.run(range);
    insert.run({
      firstSeq: Math.min(firstSeq, old.firstSeq ?? firstSeq),
      endSeq: Math.max(endSeq, old.endSeq ?? endSeq),
    });
  }

  /** The parts of the range that are in no gap, in order. */
  unexplained({ firstSeq, endSeq }: SeqRange): SeqRange[] {
    if (firstSeq >= endSeq) return [];
    return subtract({ firstSeq, endSeq }, this.#statements.within.all({ firstSeq, endSeq }) as SeqRange[]);
  }

  /** Below `seq` the store has everything. Inside a transaction. */
  forgetBelow(seq: number): void {
    this.#statements.forget.run(seq);
  }
}

/** What of `range` is in none of `holes`, which stand in order. */
export function subtract(range: SeqRange, holes: readonly SeqRange[]): SeqRange[] {
  const rest: SeqRange[] = [];
  let from = range.firstSeq;
  for (const hole of holes) {
    if (hole.firstSeq > from) rest.push({ firstSeq: from, endSeq: Math.min(hole.firstSeq, range.endSeq) });
    from = Math.max(from, hole.endSeq);
    if (from >= range.endSeq) break;
  }
  if (from < range.endSeq) rest.push({ firstSeq: from, endSeq: range.endSeq });
  return rest;
}

export function countSeqs(ranges: readonly SeqRange[]): number {
  return ranges.reduce((sum, { firstSeq, endSeq }) => sum + endSeq - firstSeq, 0);
}
