/** A damaged block is set aside: its bytes into the folder, its messages into the ledger. */
import { systemClock } from '@varve/common/clock.js';
import { lossOfBlock } from './block-loss.js';
import type { Gaps } from './gaps.js';
import type { LogStatements } from './log-database.js';
import type { LogPosition } from './log-position.js';
import type { Loss } from './loss.js';
import type { LossLedger } from './loss-ledger.js';
import { SetAsideFolder } from './set-aside-folder.js';
import type { PackedRow } from './stored-block.js';

export interface DamagedBlock {
  readonly row: PackedRow;
  readonly why: string;
  readonly whenMs: number;
  /** Where the log goes on. */
  readonly endSeq: number;
}

export interface DamagedBlocksOptions {
  readonly path: string;
  readonly statements: LogStatements;
  readonly ledger: LossLedger;
  readonly position: LogPosition;
  readonly gaps: Gaps;
}

export class DamagedBlocks {
  readonly #options: DamagedBlocksOptions;

  constructor(options: DamagedBlocksOptions) {
    this.#options = options;
  }

  /** Before the transaction. */
  keepBytes(row: PackedRow, why: string, logEndSeq: number): DamagedBlock {
    const { path, statements } = this.#options;
    // Not by its own count, which may be what is damaged.
    const endSeq = (statements.blockBehind.pluck().get(row.firstSeq) as number | null) ?? logEndSeq;
    const whenMs = systemClock.nowMs();
    new SetAsideFolder(path).keepBytes(`block-${row.firstSeq}-${whenMs}.bin`, row.bytes);
    return { row, why, whenMs, endSeq };
  }

  /** Inside a transaction that moves the position over it. Returns what is lost: those of its messages that are in no shipment. */
  forget({ row, why, whenMs, endSeq }: DamagedBlock): Loss | undefined {
    const { statements, ledger, position, gaps } = this.#options;
    const { firstSeq } = row;
    const waiting = position.waitingWithin({ firstSeq, endSeq });
    const unshipped = waiting.flatMap((range) => gaps.unexplained(range));
    const loss = lossOfBlock({
      ...{ row, why, whenMs, unshipped },
      before: statements.readBlock.get({ fromSeq: firstSeq - 1 }) as PackedRow | undefined,
      behind: statements.block.get(endSeq) as PackedRow | undefined,
    });
    if (loss) ledger.add([loss]);
    statements.deleteBlock.run(firstSeq);
    for (const range of waiting) gaps.add(range);
    return loss;
  }
}
