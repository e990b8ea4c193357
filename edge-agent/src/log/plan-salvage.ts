/** What a salvage makes of what it found: pure. See `salvage.ts`. */
import { countSeqs, subtract, type SeqRange } from './gaps.js';
import { isBehind, type HighWater } from './high-water.js';
import type { Loss } from './loss.js';

/** What the damaged database says of itself, proven by its seal. */
export interface SealedState extends Omit<HighWater, 'agent'> {
  readonly backlog: readonly SeqRange[];
}

export interface SalvageStart {
  /** Undefined: a new one begins. */
  readonly epoch: string | undefined;
  /** The position afterwards. */
  readonly nextSeq: number;
  /** In front of it: what is in no shipment either. */
  readonly backlog: readonly SeqRange[];
  /** From here on blocks are worth keeping; undefined: all there are. */
  readonly keepSeq: number | undefined;
  /** At least this. */
  readonly endSeq: number;
  /** What can be read may be older than what was: transactions are gone, with whatever they wrote. */
  readonly mayBeOlder: boolean;
}

/**
 * The epoch goes on only where nothing speaks against what is proven: then the position, the numbers of shipments and the
 * outbox hold. Otherwise a new one begins at the first message that the store may lack, with an empty outbox: rows that the
 * store has already are written again, the same (DESIGN I7).
 */
export function planStart(sealed: SealedState | undefined, mark: HighWater | undefined): SalvageStart {
  const endSeq = Math.max(1, sealed?.endSeq ?? 1, mark?.endSeq ?? 1);
  const mayBeOlder = !sealed || (mark !== undefined && isBehind(sealed, mark));
  if (sealed && !mayBeOlder) return { ...sealed, endSeq, mayBeOlder };
  const keepSeq = mark?.keepSeq ?? sealed?.keepSeq;
  return { epoch: undefined, nextSeq: keepSeq ?? 1, backlog: [], keepSeq, endSeq, mayBeOlder };
}

export interface FoundBlock extends SeqRange {
  readonly firstMs: number | null;
  readonly lastMs: number | null;
}

/** More ranges than this are one row of the ledger. */
const lossesMax = 100;

export interface Missing {
  readonly ranges: readonly SeqRange[];
  readonly losses: readonly Loss[];
}

/** `blocks` and `gaps` in order: what of `waiting` is in none of them. */
export function planLosses(
  waiting: readonly SeqRange[],
  blocks: readonly FoundBlock[],
  gaps: readonly SeqRange[],
  told: { readonly whenMs: number; readonly reason: string },
): Missing {
  const holes = [...blocks, ...gaps].sort((a, b) => a.firstSeq - b.firstSeq);
  const ranges = waiting.flatMap((range) => (range.firstSeq < range.endSeq ? subtract(range, holes) : []));
  const losses = ranges.map((missing) => lossOf(missing, blocks, told));
  const [first] = losses;
  const last = losses.at(-1);
  if (!first || !last || losses.length <= lossesMax) return { ranges, losses };
  const { lastSeq, lastMs } = last;
  return { ranges, losses: [{ ...first, lastSeq, lastMs, count: countSeqs(ranges) }] };
}

function lossOf(
  { firstSeq, endSeq }: SeqRange,
  blocks: readonly FoundBlock[],
  { whenMs, reason }: { readonly whenMs: number; readonly reason: string },
): Loss {
  const before = blocks.findLast((block) => block.endSeq <= firstSeq);
  const behind = blocks.find((block) => block.firstSeq >= endSeq);
  return {
    ...{ whenMs, kind: 'set_aside', stream: null, firstSeq, lastSeq: endSeq - 1 },
    ...{ firstMs: before?.lastMs ?? null, lastMs: behind?.firstMs ?? null },
    ...{ count: endSeq - firstSeq, bytes: 0, reason },
  };
}
