/** The end of the log, where blocks are appended; and which of the newest ones are kept in any case. */
import { recentMessagesMax } from './edge-log.js';
import type { LogStatements } from './log-database.js';
import { RecentBlocks, type BlockSize } from './recent-blocks.js';
import type { PackedRow } from './stored-block.js';

export class LogEnd {
  readonly #statements: LogStatements;
  readonly #recent: RecentBlocks;
  #appendedBytes = 0;
  seq: number;

  constructor(statements: LogStatements, recentBytesMax: number) {
    this.#statements = statements;
    this.#recent = new RecentBlocks(recentBytesMax);
    this.seq = 1;
  }

  /** Since it was opened. */
  get appendedBytes(): number {
    return this.#appendedBytes;
  }

  /** From here on blocks are kept in any case; undefined: none are. */
  get recentSeq(): number | undefined {
    return this.#recent.firstSeq;
  }

  recall(): void {
    const blocks = this.#statements.recentBlocks.all({ count: recentMessagesMax }) as BlockSize[];
    for (const block of blocks.reverse()) this.#recent.add(block);
  }

  releaseRecent(): void {
    this.#recent.clear();
  }

  /** Inside a transaction. */
  insert(rows: readonly PackedRow[]): void {
    for (const row of rows) this.#statements.insertBlock.run(row);
  }

  /** After the transaction. */
  note(rows: readonly PackedRow[]): void {
    for (const { bytes, ...row } of rows) {
      this.seq = row.firstSeq + row.messageCount;
      this.#recent.add({ ...row, bytes: bytes.length });
      this.#appendedBytes += bytes.length;
    }
  }
}
