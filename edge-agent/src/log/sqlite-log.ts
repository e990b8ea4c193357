/**
 * The edge log in SQLite, synchronously; runs on the log's thread only. See `edge-log.ts` for what it promises.
 */
import { strict as assert } from 'node:assert';
import { statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { isFailure } from '@varve/common/errors.js';
import {
  deadLetterBytesMax,
  deadLetterPayloadBytesMax,
  deadLettersMax,
  recentBytesMax,
  recentMessagesMax,
  type AggregateState,
  type DeadLetter,
  type EvictRequest,
  type LogRange,
  type LogSizes,
  type LogState,
  type NewBlock,
  type OutboxEntry,
  type Staged,
  type StageRequest,
  type StoredBlock,
} from './edge-log.js';
import { asFailures, openLogDatabase, prepareLogStatements, type LogStatements } from './log-database.js';
import { lossesOfDeadLetters, type LedgerRow, type Loss, type LossFacts } from './loss.js';
import { LossLedger } from './loss-ledger.js';
import { readBlock } from './block.js';
import { planDeletable } from './plan-deletable.js';
import { packBlock, unpackBlock } from './packed-block.js';
import { RecentBlocks } from './recent-blocks.js';

export interface SqliteLogOptions {
  readonly path: string;
  readonly agent: string;
  /** For a database that does not exist yet. */
  readonly newEpoch: string;
  /** Lower than those of `edge-log.ts`, for a small buffer. */
  readonly bounds?: LogBounds;
}

export interface LogBounds {
  readonly recentBytesMax: number;
  readonly deadLetterBytesMax: number;
}

export class SqliteLog {
  readonly #path: string;
  readonly #db: Database.Database;
  readonly #statements: LogStatements;
  readonly #ledger: LossLedger;
  readonly #bounds: LogBounds;
  readonly #recent: RecentBlocks;
  #endSeq: number;
  #appendedBytes = 0;
  #oldestWaiting: { readonly firstSeq: number; readonly arrivedMs: number | undefined } | undefined;

  /** @throws Failure `data_dir_in_use`, `data_dir_mismatch`, `log_corrupt`, `disk_full` */
  constructor({ path, agent, newEpoch, bounds }: SqliteLogOptions) {
    this.#bounds = bounds ?? { recentBytesMax, deadLetterBytesMax };
    this.#path = path;
    this.#db = openLogDatabase(path, agent, newEpoch);
    this.#statements = prepareLogStatements(this.#db);
    this.#ledger = new LossLedger(this.#db);
    this.#recent = new RecentBlocks(this.#bounds.recentBytesMax);
    for (const block of this.#statements.recentBlocks.all({ count: recentMessagesMax }).reverse())
      this.#recent.add(block as { firstSeq: number; messageCount: number; bytes: number });
    this.#endSeq = this.state().endSeq;
  }

  state(): LogState {
    const { epoch, position, backlog, outbox, lanes, deadLetters } = this.#statements;
    const { next_seq, end_seq } = position.get() as { next_seq: number; end_seq: number };
    return {
      epoch: epoch.pluck().get() as string,
      nextSeq: next_seq,
      endSeq: end_seq,
      backlog: backlog.all() as LogRange[],
      aggregates: this.#readAggregates(),
      recentSeq: this.#recent.firstSeq ?? end_seq,
      outbox: outbox.all() as OutboxEntry[],
      nextShipmentSeqs: lanes.all() as LogState['nextShipmentSeqs'],
      deadLetterCount: (deadLetters.get() as { count: number }).count,
      waitingLosses: this.#ledger.waitingCount,
    };
  }

  append(blocks: readonly NewBlock[]): number[] {
    return asFailures(() => {
      let endSeq = this.#endSeq;
      const rows = blocks.map(({ source, messageCount, bytes }) => {
        const firstSeq = endSeq;
        endSeq += messageCount;
        return { firstSeq, messageCount, source, bytes: packBlock(bytes) };
      });
      this.#db
        .transaction(() => {
          for (const row of rows) this.#statements.insertBlock.run(row);
        })
        .immediate();
      this.#endSeq = endSeq;
      for (const { bytes, ...row } of rows) {
        this.#recent.add({ ...row, bytes: bytes.length });
        this.#appendedBytes += bytes.length;
      }
      return rows.map(({ firstSeq }) => firstSeq);
    });
  }

  read(fromSeq: number, bytesMax: number): StoredBlock[] {
    return asFailures(() => {
      const blocks: StoredBlock[] = [];
      let bytes = 0;
      let seq = fromSeq;
      while (blocks.length === 0 || bytes < bytesMax) {
        const packed = this.#statements.readBlock.get({ fromSeq: seq }) as StoredBlock | undefined;
        if (!packed) break;
        const block = { ...packed, bytes: unpackBlock(packed.bytes) };
        blocks.push(block);
        bytes += block.bytes.length;
        seq = block.firstSeq + block.messageCount;
      }
      return blocks;
    });
  }

  stage({ shipments, deadLetters, nextSeq, backlog, aggregates, lastLossId, nowMs }: StageRequest): Staged {
    const { insertOutbox, setLane, insertDeadLetter } = this.#statements;
    return this.#transact(() => {
      const entries = shipments.map((shipment) => {
        const { lane, database, table, seq } = shipment;
        setLane.run(lane, database, table, seq + 1);
        return { ...shipment, id: Number(insertOutbox.run(shipment).lastInsertRowid) };
      });
      const lossesEntry = entries.at(-1);
      if (lastLossId !== undefined && lossesEntry) this.#ledger.ship(lastLossId, lossesEntry.id);
      for (const letter of deadLetters) insertDeadLetter.run(boundedLetter(letter));
      this.#ledger.add(lossesOfDeadLetters(deadLetters, nowMs));
      const deadLettersDropped = this.#dropDeadLetters(nowMs);
      const position = this.#moveTo(nextSeq);
      if (backlog) this.#setBacklog(backlog);
      if (aggregates) this.#setAggregates(aggregates);
      return { entries, deadLettersDropped, nextSeq: position, waitingLosses: this.#ledger.waitingCount };
    });
  }

  replace({ id, file, rowCount, bytes }: OutboxEntry): void {
    asFailures(() => this.#statements.replaceOutbox.run({ id, file, rowCount, bytes }));
  }

  confirm(outboxId: number): void {
    this.#transact(() => {
      this.#statements.deleteOutbox.run(outboxId);
      this.#ledger.confirm(outboxId);
      this.#deleteBlocks();
    });
  }

  releaseRecent(): void {
    this.#recent.clear();
    this.#transact(() => this.#deleteBlocks());
  }

  evict({ blocks, losses }: EvictRequest): void {
    const { replaceBlock, deleteBlock, position } = this.#statements;
    this.#transact(() => {
      for (const { firstSeq, bytes } of blocks) {
        assert(this.#isWaiting(firstSeq), 'what is in a shipment is not evicted');
        if (bytes) replaceBlock.run({ firstSeq, bytes: packBlock(bytes) });
        else deleteBlock.run(firstSeq);
      }
      this.#ledger.add(losses);
      this.#moveTo((position.get() as { next_seq: number }).next_seq);
    });
  }

  waitingLosses(): LedgerRow[] {
    return this.#ledger.waiting();
  }

  losses(): LossFacts {
    return { totals: this.#ledger.totals(), waitingRows: this.#ledger.waitingCount };
  }

  deadLetters(limit: number): DeadLetter[] {
    return this.#statements.readDeadLetters.all(limit) as DeadLetter[];
  }

  sizes(waitingFromSeq: number): LogSizes {
    const { oldestBlock, pageSize, pageCount, freePages } = this.#statements;
    const number = (statement: Database.Statement) => statement.pluck().get() as number;
    const pageBytes = number(pageSize);
    const free = number(freePages);
    return {
      oldestSeq: (oldestBlock.pluck().get() as number | null) ?? this.#endSeq,
      endSeq: this.#endSeq,
      bytes: fileBytes(this.#path) + fileBytes(`${this.#path}-wal`),
      usedBytes: (number(pageCount) - free) * pageBytes,
      reusableBytes: free * pageBytes,
      appendedBytes: this.#appendedBytes,
      oldestWaitingMs: this.#readOldestWaitingMs(waitingFromSeq),
    };
  }

  close(): void {
    this.#db.close();
  }

  #transact<T>(work: () => T): T {
    return asFailures(() => this.#db.transaction(work).immediate());
  }

  /** Those that nothing needs any more. */
  #deleteBlocks(): void {
    const { position, backlog, stagedRanges, openRanges, deleteBlocks } = this.#statements;
    const { next_seq } = position.get() as { next_seq: number };
    const kept = [backlog, stagedRanges, openRanges].flatMap((ranges) => ranges.all() as LogRange[]);
    const below = Math.min(this.#recent.firstSeq ?? this.#endSeq, next_seq);
    for (const gap of planDeletable(kept, below)) deleteBlocks.run(gap);
  }

  /** To the first message from `seq` on that is there. The end is remembered: when all blocks are gone, numbers go on. */
  #moveTo(seq: number): number {
    const nextSeq = Math.max(seq, this.#blockFrom(seq) ?? this.#endSeq);
    this.#statements.setPosition.run({ nextSeq, endSeq: this.#endSeq });
    return nextSeq;
  }

  #setBacklog(ranges: readonly LogRange[]): void {
    this.#statements.clearBacklog.run();
    for (const range of ranges) this.#statements.insertBacklog.run(range);
  }

  #setAggregates({ closedMs, openRanges }: AggregateState): void {
    const { setClosedMs, clearOpenRanges, insertOpenRange } = this.#statements;
    for (const [key, ms] of closedMs) setClosedMs.run({ key, closedMs: ms });
    clearOpenRanges.run();
    for (const { firstSeq, endSeq } of openRanges) insertOpenRange.run({ firstSeq, endSeq });
  }

  #readAggregates(): AggregateState {
    const { closedMs, openRanges } = this.#statements;
    const rows = closedMs.all() as { key: string; closedMs: number }[];
    return {
      closedMs: new Map(rows.map((row) => [row.key, row.closedMs])),
      openRanges: openRanges.all() as LogRange[],
    };
  }

  #isWaiting(firstSeq: number): boolean {
    const { position, backlogAt } = this.#statements;
    const { next_seq } = position.get() as { next_seq: number };
    return firstSeq >= next_seq || backlogAt.get({ seq: firstSeq }) !== undefined;
  }

  #blockFrom(seq: number): number | undefined {
    return this.#statements.blockFrom.pluck().get({ seq }) as number | undefined;
  }

  #readOldestWaitingMs(fromSeq: number): number | undefined {
    const firstSeq = this.#blockFrom(fromSeq);
    if (firstSeq === undefined) return undefined;
    if (this.#oldestWaiting?.firstSeq !== firstSeq) {
      const bytes = this.#statements.blockBytes.pluck().get(firstSeq) as Uint8Array;
      this.#oldestWaiting = { firstSeq, arrivedMs: firstArrivalMs(bytes) };
    }
    return this.#oldestWaiting.arrivedMs;
  }

  #dropDeadLetters(whenMs: number): number {
    const { deadLetters, oldestDeadLetters, dropOldestDeadLetters } = this.#statements;
    const { count, bytes } = deadLetters.get() as { count: number; bytes: number };
    if (count <= deadLettersMax && bytes <= this.#bounds.deadLetterBytesMax) return 0;
    // A tenth at a time, so that a flood does not pay for this with every window.
    const surplus = Math.max(count - deadLettersMax, 0) + Math.ceil(deadLettersMax / 10);
    this.#ledger.add(oldestDeadLetters.all({ whenMs, count: surplus }) as Loss[]);
    return dropOldestDeadLetters.run(surplus).changes;
  }
}

function boundedLetter(letter: DeadLetter): DeadLetter {
  if (letter.payload.length <= deadLetterPayloadBytesMax) return letter;
  return {
    ...letter,
    payload: letter.payload.subarray(0, deadLetterPayloadBytesMax),
    reason: `${letter.reason} (payload of ${letter.payload.length} bytes cut to ${deadLetterPayloadBytesMax})`,
  };
}

/** Undefined where the block is damaged: whoever needs its messages says so. */
function firstArrivalMs(packed: Uint8Array): number | undefined {
  try {
    const [message] = readBlock(unpackBlock(packed));
    return message?.arrivedMs;
  } catch (error) {
    if (isFailure(error, 'log_corrupt')) return undefined;
    throw error;
  }
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
