/**
 * Which blocks nothing needs any more: those between the ranges that are needed. Pure.
 *
 * While a backlog waits at the bottom of the log, what came after it is shipped and confirmed above; it goes at once, so
 * that it takes no room from what waits.
 */
import type { LogRange } from './edge-log.js';

/** The gaps between `kept` (in any order, overlapping or not), in order, below `belowSeq`. */
export function planDeletable(kept: readonly LogRange[], belowSeq: number): LogRange[] {
  const gaps: LogRange[] = [];
  let firstSeq = 0;
  const last: LogRange = { firstSeq: belowSeq, endSeq: belowSeq };
  for (const range of [...kept, last].sort((a, b) => a.firstSeq - b.firstSeq)) {
    const endSeq = Math.min(range.firstSeq, belowSeq);
    if (endSeq > firstSeq) gaps.push({ firstSeq, endSeq });
    firstSeq = Math.max(firstSeq, range.endSeq);
  }
  return gaps;
}
