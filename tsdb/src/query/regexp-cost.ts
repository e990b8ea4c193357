/**
 * How long a text may be for a regular expression, so that 2,048 of them, which nobody can interrupt, take two seconds: 1 ms for each.
 * Pure. Measured with DuckDB 1.5.6, on one core, for the worst texts that were found:
 *
 * | what                                              | ns for each byte of a text                                          |
 * |---------------------------------------------------|---------------------------------------------------------------------|
 * | `plainFree` in it, and `plainPositions`           | 2 to 20; 64 KB: 0.2 to 2.6 s for 2,048 texts                        |
 * | more                                              | 480 (`[a-m][a-z]{16}!`), 1,250 (`{100}`), 9,300 (`{999}`)           |
 * | groups of which the text is wanted, in a match    | 280 (two `.*`), 510 (`((a?){10}[a-z]*)*`), 1,900 (`{40}`)           |
 * | each match, of many                               | 250 to 450                                                          |
 * | many matches, `a+b\|a`                            | 2.3 ns times the text once more: 8 s for one of 60 KB               |
 *
 * RE2 makes the states of its automaton as it meets them and keeps 8 MB of them. As long as all have room there, a byte is one step; with
 * more it is all positions, and a new state.
 */
import { regexpShape } from './regexp-shape.js';

/** What is asked of an expression. */
export interface RegexpUse {
  /** All matches, one after another. */
  readonly isGlobal: boolean;
  /** The text of its groups. */
  readonly hasGroups: boolean;
  /** The whole text, or nothing. */
  readonly isFull: boolean;
  /** `^` is at the beginning of lines, perhaps. */
  readonly isByLine: boolean;
}

const rowNs = 1e6;
/** A text as long as values are at most: no bound. */
export const anyTextBytes = 65_536;
const plainFree = 8;
const plainPositions = 250;
const plainNs = 10;
/** It takes RE2 2 ms to read 1,000. */
const positionsMax = 1_000;
const lostNs = 500;
const positionNs = 10;
const groupNs = 150;
const groupPositionNs = 45;
const matchNs = 450;
/** How often a byte is looked at for many matches, where that is not once. */
const looks = 3;

/** @returns bytes; infinite where every text will do, 0 where none does */
export function textBytesFor(pattern: string, use: RegexpUse): number {
  const { isGlobal, hasGroups, isFull, isByLine } = use;
  const { positions, free, longest, lookahead, isFarsighted } = regexpShape(pattern);
  if (positions > positionsMax) return 0;
  const isPlain = free <= plainFree && positions <= plainPositions;
  const searchNs = isPlain ? plainNs : lostNs + positionNs * positions;
  const groupsNs = hasGroups ? groupNs + groupPositionNs * positions : 0;
  if (isGlobal && isFarsighted) return Math.floor(Math.sqrt(rowNs / (searchNs / 2 + groupsNs)));
  if (isGlobal) return Math.floor(rowNs / (matchNs + (looks + lookahead) * searchNs + groupsNs));
  // It looks no further than the longest match goes.
  const isAnchored = isFull || (!isByLine && /^(?:\^|\\A)[^|]*$/.test(pattern));
  if (isAnchored && longest * (searchNs + groupsNs) < rowNs) return Number.POSITIVE_INFINITY;
  const matchedNs = Math.min(longest, anyTextBytes) * groupsNs;
  const isShort = matchedNs < rowNs / 2;
  if (isPlain && isShort) return Number.POSITIVE_INFINITY;
  return Math.floor((rowNs - (isShort ? matchedNs : 0)) / (searchNs + (isShort ? 0 : groupsNs)));
}
