/**
 * How far the log has been read into shipments, and which blocks are still needed. Runs inside the transactions of `SqliteLog`.
 */
import type { LogRange } from './edge-log.js';
import type { Gaps, SeqRange } from './gaps.js';
import type { HighWater } from './high-water.js';
import type { LogStatements } from './log-database.js';
import { planDeletable } from './plan-deletable.js';

/** As it is durable. */
export interface Reached extends Omit<HighWater, 'agent' | 'endSeq'> {
  readonly backlog: readonly LogRange[];
}

export class LogPosition {
  readonly #statements: LogStatements;
  readonly #gaps: Gaps;
  #reached: Reached = { epoch: '', keepSeq: 0, nextSeq: 0, shipments: 0, backlog: [] };

  constructor(statements: LogStatements, gaps: Gaps) {
    this.#statements = statements;
    this.#gaps = gaps;
  }

  get reached(): Reached {
    return this.#reached;
  }

  /** After every transaction. */
  recall(): void {
    const { reached, backlog } = this.#statements;
    this.#reached = { ...(reached.get() as Omit<Reached, 'backlog'>), backlog: backlog.all() as LogRange[] };
  }

  isWaiting(seq: number): boolean {
    return this.waitingWithin({ firstSeq: seq, endSeq: seq + 1 }).length > 0;
  }

  /** What of `range` is in no shipment: of the backlog, and from the position on. */
  waitingWithin(range: SeqRange): SeqRange[] {
    const { nextSeq, backlog } = this.#reached;
    const live = { firstSeq: nextSeq, endSeq: Number.POSITIVE_INFINITY };
    return [...backlog, live]
      .map(({ firstSeq, endSeq }) => ({
        firstSeq: Math.max(firstSeq, range.firstSeq),
        endSeq: Math.min(endSeq, range.endSeq),
      }))
      .filter(({ firstSeq, endSeq }) => firstSeq < endSeq);
  }

  /** The first block that holds `seq` or comes behind it. */
  blockFrom(seq: number): number | undefined {
    return this.#statements.blockFrom.pluck().get({ seq }) as number | undefined;
  }

  /** To the first message from `seq` on that is there. The end is remembered: when all blocks are gone, numbers go on. */
  moveTo(seq: number, endSeq: number): number {
    const nextSeq = Math.max(seq, this.blockFrom(seq) ?? endSeq);
    this.#statements.setPosition.run({ nextSeq, endSeq });
    this.#gaps.forgetBelow(this.#statements.keepSeq.pluck().get() as number);
    return nextSeq;
  }

  setBacklog(ranges: readonly LogRange[]): void {
    this.#statements.clearBacklog.run();
    for (const range of ranges) this.#statements.insertBacklog.run(range);
  }

  /** Those that nothing needs any more, of each range up to where `endOf` says. Where they lie above others that are needed, a salvage must know of it. */
  deleteBlocks(recentSeq: number, endOf: (range: LogRange) => number = ({ endSeq }) => endSeq): void {
    const { keepSeq, deleteBlocks } = this.#statements;
    const neededSeq = keepSeq.pluck().get() as number;
    for (const range of this.unneeded(recentSeq)) {
      const gap = { firstSeq: range.firstSeq, endSeq: endOf(range) };
      if (deleteBlocks.run(gap).changes > 0 && gap.firstSeq >= neededSeq) this.#gaps.add(gap);
    }
  }

  /** Ranges of messages that nothing needs any more, in order. Some of their blocks may be there. */
  unneeded(recentSeq: number): LogRange[] {
    const { backlog, stagedRanges, openRanges } = this.#statements;
    const needed = [backlog, stagedRanges, openRanges].flatMap((ranges) => ranges.all() as LogRange[]);
    return planDeletable(needed, Math.min(recentSeq, this.#reached.nextSeq));
  }
}
