/** The ledger row of what reducers held back, where what is stored of it turned out to be damaged (DESIGN I3). */
import type { Loss } from '../log/loss.js';

/** `nextSeq`: the position that the states were of. How many rows were held is in the bytes that cannot be read. */
export function lossOfStates(table: string, nextSeq: number, whenMs: number): Loss {
  return {
    ...{ whenMs, kind: 'set_aside', stream: null, firstSeq: 0, lastSeq: Math.max(0, nextSeq - 1) },
    ...{ firstMs: null, lastMs: null, count: 0, bytes: 0 },
    reason: `what was remembered for reducing ${table} was damaged: rows held back are lost, at most one of each series; how many is not known`,
  };
}
