/** How large the log is, and how old. On the log's thread. */
import type Database from 'better-sqlite3';
import { readBlock, readBlockClock } from './block.js';
import type { Boots } from './boots.js';
import type { LogSizes } from './edge-log.js';
import { fileBytes } from './header.js';
import type { KeptFacts } from './kept-blocks.js';
import type { LogStatements } from './log-database.js';
import type { LogPosition } from './log-position.js';
import { tryOpenBlock, type PackedRow } from './stored-block.js';

export class LogSizer {
  readonly #path: string;
  readonly #statements: LogStatements;
  readonly #position: LogPosition;
  readonly #boots: Boots;
  #oldestWaiting: { readonly firstSeq: number; readonly arrivedMs: number | undefined } | undefined;

  constructor(path: string, statements: LogStatements, position: LogPosition, boots: Boots) {
    this.#path = path;
    this.#statements = statements;
    this.#position = position;
    this.#boots = boots;
  }

  /** Arrival times have changed. */
  forget(): void {
    this.#oldestWaiting = undefined;
  }

  read(waitingFromSeq: number, endSeq: number): Omit<LogSizes, 'appendedBytes' | keyof KeptFacts> {
    const { oldestBlock, pageSize, pageCount, freePages } = this.#statements;
    const number = (statement: Database.Statement) => statement.pluck().get() as number;
    const pageBytes = number(pageSize);
    const free = number(freePages);
    return {
      oldestSeq: (oldestBlock.pluck().get() as number | null) ?? endSeq,
      endSeq,
      bytes: fileBytes(this.#path) + fileBytes(`${this.#path}-wal`),
      usedBytes: (number(pageCount) - free) * pageBytes,
      reusableBytes: free * pageBytes,
      oldestWaitingMs: this.#readOldestWaitingMs(waitingFromSeq),
    };
  }

  #readOldestWaitingMs(fromSeq: number): number | undefined {
    const firstSeq = this.#position.blockFrom(fromSeq);
    if (firstSeq === undefined) return undefined;
    if (this.#oldestWaiting?.firstSeq !== firstSeq)
      this.#oldestWaiting = { firstSeq, arrivedMs: this.#readFirstArrivalMs(firstSeq) };
    return this.#oldestWaiting.arrivedMs;
  }

  /** Undefined where the block is damaged: whoever needs its messages says so. */
  #readFirstArrivalMs(firstSeq: number): number | undefined {
    const bytes = tryOpenBlock(this.#statements.block.get(firstSeq) as PackedRow);
    if (typeof bytes === 'string') return undefined;
    const arrival = this.#boots.arrivalOf(readBlockClock(bytes), Number.POSITIVE_INFINITY);
    const [message] = readBlock(bytes, arrival?.shiftMs);
    return message?.arrivedMs;
  }
}
