/** Whoever is asked the questions of `lake-queries`, and what it answers. */
import type { Question } from './questions.js';

/** Enough of an answer to see whether two are the same: how many cells are numbers, and their sum. Times do not count. */
export interface AnswerCheck {
  readonly count: number;
  readonly sum: number;
}

export interface Asked {
  /** From sending the question until the last byte or row of the answer has come; it is not decoded any further. */
  readonly ms: number;
  readonly check: AnswerCheck;
}

export interface Contestant {
  readonly name: string;
  /** Of the process that answers, all of whose work is there; undefined where it is in several. */
  readonly pid?: () => number;
  /** Undefined where the question cannot be put to it. */
  ask(question: Question): Promise<Asked | undefined>;
}

export function checkOf(cells: Iterable<unknown>): AnswerCheck {
  let [count, sum] = [0, 0];
  for (const cell of cells) {
    if (typeof cell !== 'number' && typeof cell !== 'bigint') continue;
    count++;
    sum += Number(cell);
  }
  return { count, sum };
}

/** Sums of doubles depend on the order of rows in their last digits. */
export function areSame(left: AnswerCheck, right: AnswerCheck): boolean {
  const tolerance = 1e-9 * Math.max(1, Math.abs(left.sum), Math.abs(right.sum));
  return left.count === right.count && Math.abs(left.sum - right.sum) <= tolerance;
}
