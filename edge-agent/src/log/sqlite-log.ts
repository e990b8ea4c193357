/**
 * The edge log in SQLite, synchronously; runs on the log's thread only. See `edge-log.ts` for what it promises.
 */
import { strict as assert } from 'node:assert';
import type Database from 'better-sqlite3';
import { systemClock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import {
  deadLetterBytesMax,
  deadLettersMax,
  recentBytesMax,
  recentMessagesMax,
  type DeadLetter,
  type EvictRequest,
  type LogSizes,
  type LogState,
  type NewBlock,
  type OutboxEntry,
  type Staged,
  type StageRequest,
  type StoredBlock,
} from './edge-log.js';
import { Gaps, type SeqRange } from './gaps.js';
import { fileBytes } from './header.js';
import { HighWaterFile, isBehind, markPathOf, readMark, type HighWater } from './high-water.js';
import { lossOfBlock } from './block-loss.js';
import { boundedLetter } from './bounded-letter.js';
import {
  asFailures,
  openLogDatabase,
  prepareOn,
  prepareStatements,
  type LogStatements,
} from './log-database.js';
import { lossesOfDeadLetters, type LedgerRow, type Loss, type LossFacts } from './loss.js';
import { LossLedger } from './loss-ledger.js';
import { packBlock, type BlockPlace } from './packed-block.js';
import { RecentBlocks, type BlockSize } from './recent-blocks.js';
import { Seal } from './seal.js';
import { SetAsideFolder } from './set-aside-folder.js';
import { arrivalsOf, openBlock, whyUnreadable, type PackedRow } from './stored-block.js';

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

type Reached = Omit<HighWater, 'agent' | 'endSeq'>;

export class SqliteLog {
  readonly #path: string;
  readonly #db: Database.Database;
  readonly #statements: LogStatements;
  readonly #ledger: LossLedger;
  readonly #bounds: LogBounds;
  readonly #recent: RecentBlocks;
  readonly #gaps: Gaps;
  readonly #seal: Seal;
  readonly #mark: HighWaterFile;
  readonly #agent: string;
  #reached: Reached = { epoch: '', keepSeq: 0, nextSeq: 0, shipments: 0 };
  #setAside: Loss[] = [];
  #endSeq: number;
  #appendedBytes = 0;
  #oldestWaiting: { readonly firstSeq: number; readonly arrivedMs: number | undefined } | undefined;

  /** @throws Failure `data_dir_in_use`, `data_dir_mismatch`, `log_corrupt`, `disk_full` */
  constructor({ path, agent, newEpoch, bounds }: SqliteLogOptions) {
    this.#bounds = bounds ?? { recentBytesMax, deadLetterBytesMax };
    this.#path = path;
    this.#agent = agent;
    this.#db = openLogDatabase(path, agent, newEpoch);
    try {
      this.#statements = asFailures(() => prepareStatements(this.#db));
      this.#ledger = asFailures(() => new LossLedger(this.#db));
      this.#gaps = asFailures(() => new Gaps(prepareOn(this.#db)));
      this.#seal = asFailures(() => new Seal(prepareOn(this.#db)));
      this.#recent = new RecentBlocks(this.#bounds.recentBytesMax);
      this.#endSeq = asFailures(() => this.#check());
      for (const block of asFailures(() => this.#readRecent()).reverse()) this.#recent.add(block);
      this.#mark = new HighWaterFile(markPathOf(path));
      this.#writeMark();
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  #readRecent(): BlockSize[] {
    return this.#statements.recentBlocks.all({ count: recentMessagesMax }) as BlockSize[];
  }

  /** Returns the end of the log. @throws Failure `log_corrupt` */
  #check(): number {
    const seal = this.#seal.check();
    if (seal === 'broken')
      throw new Failure('log_corrupt', 'the edge database: its position, lanes or outbox have changed');
    // The numbers of new messages follow from it.
    const last = this.#statements.lastBlock.get() as PackedRow | undefined;
    const why = last && whyUnreadable(last);
    if (why !== undefined) throw new Failure('log_corrupt', `the end of the log: ${why}`);
    const { endSeq } = this.state();
    this.#readReached();
    const mark = readMark(markPathOf(this.#path));
    if (mark?.agent === this.#agent && isBehind({ ...this.#reached, endSeq }, mark))
      throw new Failure(
        'log_corrupt',
        `the edge database ends at message ${endSeq - 1}, and had come to ${mark.endSeq - 1}: the end of it is gone`,
      );
    if (seal === 'missing') this.#db.transaction(() => this.#seal.renew()).immediate();
    return endSeq;
  }

  state(): LogState {
    return asFailures(() => this.#readState());
  }

  #readState(): LogState {
    const { epoch, position, outbox, lanes, deadLetters } = this.#statements;
    const { next_seq, end_seq } = position.get() as { next_seq: number; end_seq: number };
    return {
      epoch: epoch.pluck().get() as string,
      nextSeq: next_seq,
      endSeq: end_seq,
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
        const place = { firstSeq, messageCount, source };
        return { ...place, bytes: packBlock(bytes, place) };
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
      this.#writeMark();
      return rows.map(({ firstSeq }) => firstSeq);
    });
  }

  /** What is damaged is passed over: see `takeSetAside`. */
  read(fromSeq: number, bytesMax: number): StoredBlock[] {
    return asFailures(() => {
      const blocks: StoredBlock[] = [];
      let bytes = 0;
      let seq = fromSeq;
      while (blocks.length === 0 || bytes < bytesMax) {
        const row = this.#statements.readBlock.get({ fromSeq: seq }) as PackedRow | undefined;
        this.#requireNoGap({ firstSeq: seq, endSeq: row?.firstSeq ?? this.#endSeq });
        if (!row) break;
        const why = whyUnreadable(row);
        if (why !== undefined) {
          seq = this.#setBlockAside(row, why);
          continue;
        }
        const block = { ...row, bytes: openBlock(row) };
        blocks.push(block);
        bytes += block.bytes.length;
        seq = block.firstSeq + block.messageCount;
      }
      return blocks;
    });
  }

  /** The ledger rows of damaged blocks that were passed over since the last call. */
  takeSetAside(): Loss[] {
    const losses = this.#setAside;
    this.#setAside = [];
    return losses;
  }

  stage({ shipments, deadLetters, nextSeq, lastLossId, nowMs }: StageRequest): Staged {
    const { insertOutbox, setLane, insertDeadLetter } = this.#statements;
    return this.#transact(() => {
      const entries = shipments.map((shipment) => {
        const { lane, database, table, seq } = shipment;
        setLane.run(lane, database, table, seq + 1);
        return { ...shipment, id: Number(insertOutbox.run(shipment).lastInsertRowid) };
      });
      const lossesEntry = entries.at(-1);
      if (lastLossId !== undefined && lossesEntry) this.#ledger.ship(lastLossId, lossesEntry.id);
      const inserted = deadLetters.filter(
        (letter) => insertDeadLetter.run(boundedLetter(letter)).changes > 0,
      );
      this.#ledger.add(lossesOfDeadLetters(inserted, nowMs));
      const deadLettersDropped = this.#dropDeadLetters(nowMs);
      const position = this.#moveTo(nextSeq);
      this.#seal.renew();
      return { entries, deadLettersDropped, nextSeq: position, waitingLosses: this.#ledger.waitingCount };
    });
  }

  replace({ id, file, rowCount, bytes }: OutboxEntry, losses: readonly Loss[] = []): void {
    this.#transact(() => {
      this.#statements.replaceOutbox.run({ id, file, rowCount, bytes });
      this.#ledger.add(losses);
      this.#seal.renew();
    });
  }

  confirm(outboxId: number): void {
    this.#transact(() => {
      this.#statements.deleteOutbox.run(outboxId);
      this.#ledger.confirm(outboxId);
      this.#deleteBlocks();
      this.#seal.renew();
    });
  }

  releaseRecent(): void {
    this.#recent.clear();
    this.#transact(() => this.#deleteBlocks());
  }

  evict({ blocks, losses }: EvictRequest): { nextSeq: number } {
    const { replaceBlock, deleteBlock, blockPlace, position } = this.#statements;
    return this.#transact(() => {
      const { next_seq } = position.get() as { next_seq: number };
      for (const { firstSeq, bytes } of blocks) {
        assert(firstSeq >= next_seq, 'what is in a shipment is not evicted');
        const place = blockPlace.get(firstSeq) as BlockPlace | undefined;
        if (!place) continue;
        if (bytes) replaceBlock.run({ firstSeq, bytes: packBlock(bytes, place) });
        else {
          deleteBlock.run(firstSeq);
          this.#gaps.add({ firstSeq, endSeq: firstSeq + place.messageCount });
        }
      }
      this.#ledger.add(losses);
      const nextSeq = this.#moveTo(next_seq);
      this.#seal.renew();
      return { nextSeq };
    });
  }

  waitingLosses(): LedgerRow[] {
    return asFailures(() => this.#ledger.waiting());
  }

  /** The ledger rows of a shipment. */
  shippedLosses(outboxId: number): LedgerRow[] {
    return asFailures(() => this.#ledger.shipped(outboxId));
  }

  losses(): LossFacts {
    return asFailures(() => ({ totals: this.#ledger.totals(), waitingRows: this.#ledger.waitingCount }));
  }

  deadLetters(limit: number): DeadLetter[] {
    return asFailures(() => this.#statements.readDeadLetters.all(limit) as DeadLetter[]);
  }

  sizes(waitingFromSeq = 0): LogSizes {
    return asFailures(() => this.#readSizes(waitingFromSeq));
  }

  #readSizes(waitingFromSeq: number): LogSizes {
    const oldest = this.#statements.oldestBlock.pluck().get() as number | null;
    const pragma = (name: string) => this.#db.pragma(name, { simple: true }) as number;
    const pageBytes = pragma('page_size');
    const freePages = pragma('freelist_count');
    const { next_seq } = this.#statements.position.get() as { next_seq: number };
    return {
      oldestSeq: oldest ?? this.#endSeq,
      endSeq: this.#endSeq,
      bytes: fileBytes(this.#path) + fileBytes(`${this.#path}-wal`),
      usedBytes: (pragma('page_count') - freePages) * pageBytes,
      reusableBytes: freePages * pageBytes,
      appendedBytes: this.#appendedBytes,
      nextSeq: next_seq,
      oldestWaitingMs: this.#readOldestWaitingMs(Math.max(next_seq, waitingFromSeq)),
    };
  }

  close(): void {
    this.#mark.close();
    asFailures(() => this.#db.close());
  }

  #transact<T>(work: () => T): T {
    return asFailures(() => {
      const result = this.#db.transaction(work).immediate();
      this.#readReached();
      this.#writeMark();
      return result;
    });
  }

  #readReached(): void {
    this.#reached = this.#statements.reached.get() as Reached;
  }

  #writeMark(): void {
    this.#mark.write({ ...this.#reached, agent: this.#agent, endSeq: this.#endSeq });
  }

  /** From the position on, every message is in a block or in a known gap. */
  #requireNoGap(range: SeqRange): void {
    const firstSeq = Math.max(range.firstSeq, this.#reached.nextSeq);
    const [missing] = this.#gaps.unexplained({ firstSeq, endSeq: range.endSeq });
    if (!missing) return;
    throw new Failure(
      'log_corrupt',
      `the edge database: messages ${missing.firstSeq} to ${missing.endSeq - 1} are missing`,
    );
  }

  /**
   * Keeps the bytes of a damaged block, and in one transaction deletes it, moves the position over it, and writes the loss
   * down: of its messages that are in no shipment. Returns where the log goes on.
   */
  #setBlockAside(row: PackedRow, why: string): number {
    const { firstSeq, bytes } = row;
    const { blockBehind, block, readBlock, deleteBlock } = this.#statements;
    // Not by its own count, which may be what is damaged.
    const endSeq = (blockBehind.pluck().get(firstSeq) as number | null) ?? this.#endSeq;
    const whenMs = systemClock.nowMs();
    new SetAsideFolder(this.#path).keepBytes(`block-${firstSeq}-${whenMs}.bin`, bytes);
    this.#transact(() => {
      const range = { firstSeq: Math.max(firstSeq, this.#reached.nextSeq), endSeq };
      const loss = lossOfBlock({
        ...{ row, why, whenMs, unshipped: this.#gaps.unexplained(range) },
        before: readBlock.get({ fromSeq: firstSeq - 1 }) as PackedRow | undefined,
        behind: block.get(endSeq) as PackedRow | undefined,
      });
      if (loss) {
        this.#ledger.add([loss]);
        this.#setAside.push(loss);
      }
      deleteBlock.run(firstSeq);
      this.#gaps.add(range);
      this.#moveTo(this.#reached.nextSeq);
      this.#seal.renew();
    });
    return endSeq;
  }

  #deleteBlocks(): void {
    const { deletableBelow, deleteBlocks } = this.#statements;
    const recentSeq = this.#recent.firstSeq ?? this.#endSeq;
    deleteBlocks.run({ seq: deletableBelow.pluck().get({ recentSeq }) });
  }

  /** To the first message from `seq` on that is there. The end is remembered: when all blocks are gone, numbers go on. */
  #moveTo(seq: number): number {
    const { blockFrom, setPosition, keepSeq } = this.#statements;
    const firstSeq = blockFrom.pluck().get({ seq }) as number | undefined;
    const nextSeq = Math.max(seq, firstSeq ?? this.#endSeq);
    setPosition.run({ nextSeq, endSeq: this.#endSeq });
    this.#gaps.forgetBelow(keepSeq.pluck().get() as number);
    return nextSeq;
  }

  #readOldestWaitingMs(nextSeq: number): number | undefined {
    const { blockFrom, block } = this.#statements;
    const firstSeq = blockFrom.pluck().get({ seq: nextSeq }) as number | undefined;
    if (firstSeq === undefined) return undefined;
    if (this.#oldestWaiting?.firstSeq !== firstSeq) {
      // Undefined where the block is damaged: whoever needs its messages says so.
      this.#oldestWaiting = { firstSeq, arrivedMs: arrivalsOf(block.get(firstSeq) as PackedRow)?.firstMs };
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
