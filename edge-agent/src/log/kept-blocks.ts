/**
 * Blocks that nothing needs any more and that are kept all the same, for a while: `raw: keep 7d` of a stream. On the log's
 * thread, inside the transactions of `SqliteLog`.
 *
 * They are where they always were: keeping costs no write, and the oldest go first. What else was in their blocks stays with
 * them.
 */
import { readBlock, readBlockClock } from './block.js';
import type { Boots } from './boots.js';
import type { LogRange } from './edge-log.js';
import type { LogStatements } from './log-database.js';
import type { LogPosition } from './log-position.js';
import type { BlockPlace } from './packed-block.js';
import { tryOpenBlock, type PackedRow } from './stored-block.js';

export interface KeptFacts {
  readonly keptMessages: number;
  /** Of the messages that there are. */
  readonly keptShare: number;
  /** Arrival of the oldest of them. */
  readonly keptSinceMs: number | undefined;
}

/** In one transaction: each is read to see how old it is. */
const looksMax = 1_000;

export class KeptBlocks {
  readonly #statements: LogStatements;
  readonly #position: LogPosition;
  readonly #boots: Boots;
  #oldest: { readonly firstSeq: number; readonly arrivedMs: number | undefined } | undefined;

  constructor(statements: LogStatements, position: LogPosition, boots: Boots) {
    this.#statements = statements;
    this.#position = position;
    this.#boots = boots;
  }

  /** Deletes what nothing needs, but for what came at `keepFromMs` or later. */
  deleteOlder(recentSeq: number, keepFromMs: number | undefined): void {
    if (keepFromMs === undefined) this.#position.deleteBlocks(recentSeq);
    else this.#position.deleteBlocks(recentSeq, (range) => this.#findBegin(range, keepFromMs));
  }

  /** Deletes the oldest of them, so many messages, and the rest of their last block. Returns how many there were. */
  release(recentSeq: number, messages: number): number {
    let left = messages;
    this.#position.deleteBlocks(recentSeq, (range) => {
      const [kept] = this.#keptIn(range);
      if (!kept || left <= 0) return range.firstSeq;
      const endSeq = Math.min(kept.endSeq, this.#endOfBlock(kept.firstSeq + left - 1));
      left -= endSeq - kept.firstSeq;
      return endSeq;
    });
    return messages - left;
  }

  facts(recentSeq: number, oldestSeq: number, endSeq: number): KeptFacts {
    const gaps = this.#position.unneeded(recentSeq);
    const kept = gaps.flatMap((range) => this.#keptIn(range));
    const keptMessages = count(kept);
    const unneeded = count(gaps.map((gap) => ({ ...gap, firstSeq: Math.max(gap.firstSeq, oldestSeq) })));
    const messages = endSeq - oldestSeq - unneeded + keptMessages;
    return {
      keptMessages,
      keptShare: keptMessages === 0 ? 0 : keptMessages / messages,
      keptSinceMs: kept[0] && this.#arrivalAt(kept[0].firstSeq),
    };
  }

  /** From the first to the last block that lies in the range altogether; the oldest go first, so there are few holes. */
  #keptIn({ firstSeq, endSeq }: LogRange): LogRange[] {
    const { blockBehind, blockBefore } = this.#statements;
    const begin = blockBehind.pluck().get(firstSeq - 1) as number | null;
    const last = blockBefore.get(endSeq) as BlockPlace | undefined;
    if (begin === null || !last) return [];
    const endOfLast = last.firstSeq + last.messageCount;
    const kept = { firstSeq: begin, endSeq: endOfLast > endSeq ? last.firstSeq : endOfLast };
    return kept.firstSeq < kept.endSeq ? [kept] : [];
  }

  /** The first block of the range that came at `keepFromMs` or later; after enough that are older, the next. */
  #findBegin({ firstSeq, endSeq }: LogRange, keepFromMs: number): number {
    let seq = firstSeq;
    for (let looks = 0; looks < looksMax; looks++) {
      const row = this.#statements.readBlock.get({ fromSeq: seq }) as PackedRow | undefined;
      if (!row || row.firstSeq >= endSeq) return endSeq;
      const arrivedMs = this.#arrivalOf(row);
      if (arrivedMs !== undefined && arrivedMs >= keepFromMs) return Math.max(row.firstSeq, firstSeq);
      seq = row.firstSeq + row.messageCount;
    }
    return Math.min(seq, endSeq);
  }

  #endOfBlock(seq: number): number {
    const row = this.#statements.readBlock.get({ fromSeq: seq }) as PackedRow | undefined;
    return row ? Math.max(seq + 1, row.firstSeq + row.messageCount) : seq + 1;
  }

  #arrivalAt(firstSeq: number): number | undefined {
    if (this.#oldest?.firstSeq !== firstSeq) {
      const row = this.#statements.readBlock.get({ fromSeq: firstSeq }) as PackedRow | undefined;
      this.#oldest = { firstSeq, arrivedMs: row && this.#arrivalOf(row) };
    }
    return this.#oldest.arrivedMs;
  }

  /** Of its first message; undefined where it is damaged. */
  #arrivalOf(row: PackedRow): number | undefined {
    const bytes = tryOpenBlock(row);
    if (typeof bytes === 'string') return undefined;
    const arrival = this.#boots.arrivalOf(readBlockClock(bytes), Number.POSITIVE_INFINITY);
    const [message] = readBlock(bytes, arrival?.shiftMs);
    return message?.arrivedMs;
  }
}

function count(ranges: readonly LogRange[]): number {
  return ranges.reduce((sum, { firstSeq, endSeq }) => sum + Math.max(0, endSeq - firstSeq), 0);
}
