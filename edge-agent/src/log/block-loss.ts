/** What is lost with a block that turned out to be damaged, as a row of the ledger. */
import { countSeqs, type SeqRange } from './gaps.js';
import type { Loss } from './loss.js';
import { arrivalsOf, type PackedRow } from './stored-block.js';

export interface DamagedBlock {
  readonly row: PackedRow;
  readonly why: string;
  readonly whenMs: number;
  /** Of its messages: those that are in no shipment, and that no ledger row has yet. */
  readonly unshipped: readonly SeqRange[];
  /** The blocks before and behind it, if there are: what is in between came in between. */
  readonly before: PackedRow | undefined;
  readonly behind: PackedRow | undefined;
}

/** Undefined where nothing is lost: all of it was shipped. */
export function lossOfBlock(damaged: DamagedBlock): Loss | undefined {
  const { row, why, whenMs, unshipped, before, behind } = damaged;
  const [first] = unshipped;
  const last = unshipped.at(-1);
  if (!first || !last) return undefined;
  return {
    ...{ whenMs, kind: 'set_aside', stream: null, firstSeq: first.firstSeq, lastSeq: last.endSeq - 1 },
    firstMs: (before && before.firstSeq < row.firstSeq && arrivalsOf(before)?.lastMs) || null,
    lastMs: (behind && arrivalsOf(behind)?.firstMs) ?? null,
    ...{ count: countSeqs(unshipped), bytes: row.bytes.length },
    reason: `${why}; its bytes are in data_dir/set-aside`,
  };
}
