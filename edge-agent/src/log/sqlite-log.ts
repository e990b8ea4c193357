/**
 * The edge log in SQLite, synchronously; runs on the log's thread only. See `edge-log.ts` for what it promises.
 */
import { strict as assert } from 'node:assert';
import type Database from 'better-sqlite3';
import { Failure } from '@varve/common/errors.js';
import {
  deadLetterBytesMax,
  recentBytesMax,
  type DeadLetter,
  type EvictRequest,
  type LogRange,
  type LogSizes,
  type LogState,
  type NewBlock,
  type OutboxEntry,
  type ReplayRequest,
  type Staged,
  type StageRequest,
  type StoredBlock,
} from './edge-log.js';
import { Gaps, type SeqRange } from './gaps.js';
import { HighWaterFile, isBehind, markPathOf, readMark } from './high-water.js';
import { DamagedBlocks } from './damaged-blocks.js';
import { DeadLetters } from './dead-letters.js';
import {
  asFailures,
  openLogDatabase,
  prepareLogStatements,
  prepareOn,
  type LogStatements,
} from './log-database.js';
import type { LedgerRow, Loss, LossFacts } from './loss.js';
import { LogEnd } from './log-end.js';
import { LogPosition } from './log-position.js';
import { KeptBlocks } from './kept-blocks.js';
import { LogSizer } from './log-sizer.js';
import { LossLedger } from './loss-ledger.js';
import { readBlockClock } from './block.js';
import { AggregateRows } from './aggregate-rows.js';
import { Boots, type BootState, type BootTrust } from './boots.js';
import { LetterReplays } from './letter-replay.js';
import { packBlocks, packBlock, type BlockPlace } from './packed-block.js';
import { OutboxRows } from './outbox-rows.js';
import { ReductionRows } from './reduction-rows.js';
import { Seal } from './seal.js';
import { StreamChoices } from './stream-choices.js';
import { SubscribedRows } from './subscribed-rows.js';
import { tryOpenBlock, whyUnreadable, type PackedRow } from './stored-block.js';

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
  readonly #boots: Boots;
  readonly #bounds: LogBounds;
  readonly #end: LogEnd;
  readonly #damaged: DamagedBlocks;
  readonly #letters: DeadLetters;
  readonly #choices: StreamChoices;
  readonly #aggregates: AggregateRows;
  readonly #outbox: OutboxRows;
  readonly #reductions: ReductionRows;
  readonly #subscribed: SubscribedRows;
  readonly #gaps: Gaps;
  readonly #position: LogPosition;
  readonly #sizer: LogSizer;
  readonly #kept: KeptBlocks;
  readonly #seal: Seal;
  readonly #mark: HighWaterFile;
  readonly #agent: string;
  #setAside: Loss[] = [];

  /** @throws Failure `data_dir_in_use`, `data_dir_mismatch`, `log_corrupt`, `disk_full` */
  constructor({ path, agent, newEpoch, bounds }: SqliteLogOptions) {
    this.#bounds = bounds ?? { recentBytesMax, deadLetterBytesMax };
    this.#path = path;
    this.#agent = agent;
    this.#db = openLogDatabase(path, agent, newEpoch);
    try {
      this.#statements = asFailures(() => prepareLogStatements(this.#db));
      this.#boots = asFailures(() => new Boots(this.#db));
      this.#ledger = asFailures(() => new LossLedger(this.#db));
      this.#letters = new DeadLetters(this.#statements, this.#ledger, this.#bounds.deadLetterBytesMax);
      this.#choices = asFailures(() => new StreamChoices(this.#db));
      this.#aggregates = new AggregateRows(this.#statements);
      this.#outbox = new OutboxRows(this.#statements);
      this.#reductions = new ReductionRows(this.#statements);
      this.#subscribed = new SubscribedRows(this.#statements);
      this.#gaps = asFailures(() => new Gaps(prepareOn(this.#db)));
      this.#position = new LogPosition(this.#statements, this.#gaps);
      this.#sizer = new LogSizer(path, this.#statements, this.#position, this.#boots);
      this.#kept = new KeptBlocks(this.#statements, this.#position, this.#boots);
      this.#seal = asFailures(() => new Seal(prepareOn(this.#db)));
      this.#damaged = new DamagedBlocks({
        ...{ path, statements: this.#statements, ledger: this.#ledger },
        ...{ position: this.#position, gaps: this.#gaps },
      });
      this.#end = new LogEnd(this.#statements, this.#bounds.recentBytesMax);
      this.#end.seq = asFailures(() => this.#check());
      asFailures(() => this.#end.recall());
      this.#mark = new HighWaterFile(markPathOf(path));
      this.#writeMark();
    } catch (error) {
      this.#db.close();
      throw error;
    }
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
    this.#position.recall();
    const mark = readMark(markPathOf(this.#path));
    if (mark?.agent === this.#agent && isBehind({ ...this.#position.reached, endSeq }, mark))
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
    const { epoch, position, backlog, lanes } = this.#statements;
    const { next_seq, end_seq } = position.get() as { next_seq: number; end_seq: number };
    return {
      epoch: epoch.pluck().get() as string,
      nextSeq: next_seq,
      endSeq: end_seq,
      backlog: backlog.all() as LogRange[],
      aggregates: this.#aggregates.read(),
      reduction: this.#reductions.read(),
      recentSeq: this.#end.recentSeq ?? end_seq,
      outbox: this.#outbox.all(),
      nextShipmentSeqs: lanes.all() as LogState['nextShipmentSeqs'],
      deadLetterCount: this.#letters.count,
      waitingLosses: this.#ledger.waitingCount,
    };
  }

  append(blocks: readonly NewBlock[]): number[] {
    return asFailures(() => {
      const rows = packBlocks(blocks, this.#endSeq);
      this.#db.transaction(() => this.#end.insert(rows)).immediate();
      this.#end.note(rows);
      this.#writeMark();
      return rows.map(({ firstSeq }) => firstSeq);
    });
  }

  /** What is damaged is passed over: see `takeSetAside`. */
  read(fromSeq: number, bytesMax: number, clockBoot = Number.POSITIVE_INFINITY): StoredBlock[] {
    return asFailures(() => {
      const blocks: StoredBlock[] = [];
      let bytes = 0;
      let seq = fromSeq;
      while (blocks.length === 0 || bytes < bytesMax) {
        const row = this.#statements.readBlock.get({ fromSeq: seq }) as PackedRow | undefined;
        this.#requireNoGap({ firstSeq: seq, endSeq: row?.firstSeq ?? this.#endSeq });
        if (!row) break;
        const unpacked = tryOpenBlock(row);
        if (typeof unpacked === 'string') {
          seq = this.#setBlockAside(row, unpacked);
          continue;
        }
        const arrival = this.#boots.arrivalOf(readBlockClock(unpacked), clockBoot);
        const choices = this.#choices.within({
          firstSeq: row.firstSeq,
          endSeq: row.firstSeq + row.messageCount,
        });
        const block = { ...row, bytes: unpacked, arrival, ...(choices && { choices }) };
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

  beginBoot(id: string): BootState {
    const known = this.#boots.find(id);
    if (known) return known;
    const oldestSeq = this.#position.blockFrom(0) ?? this.#endSeq;
    this.#transact(() => this.#boots.add(id, this.#endSeq, oldestSeq));
    const begun = this.#boots.find(id);
    assert(begun, 'the boot was just written');
    return begun;
  }

  trustBoot(trust: BootTrust): void {
    this.#transact(() => this.#boots.trust(trust));
    this.#boots.noteKnown();
    this.#sizer.forget();
  }

  stage(request: StageRequest): Staged {
    const { shipments, deadLetters, nextSeq, backlog, lastLossId, losses = [], trustedMs, nowMs } = request;
    const clockBoot = this.#boots.knownBoot;
    return this.#transact(() => {
      const entries = shipments.map((shipment) => this.#outbox.add(shipment, clockBoot));
      const lossesEntry = entries.at(-1);
      if (lastLossId !== undefined && lossesEntry) this.#ledger.ship(lastLossId, lossesEntry.id);
      this.#ledger.add(losses);
      const deadLettersDropped = this.#letters.add(deadLetters, nowMs);
      // First: gaps that lie in it must not be forgotten.
      if (backlog) this.#position.setBacklog(backlog);
      const position = this.#position.moveTo(nextSeq, this.#endSeq);
      if (request.aggregates) this.#aggregates.write(request.aggregates);
      // Nothing will be confirmed that could delete them.
      if (shipments.length === 0) this.#kept.deleteOlder(this.#recentSeq, request.keepFromMs);
      if (request.reduction) this.#reductions.write(request.reduction, nextSeq);
      if (trustedMs !== undefined) this.#boots.noteTrustedMs(trustedMs);
      return { entries, deadLettersDropped, nextSeq: position, waitingLosses: this.#ledger.waitingCount };
    });
  }

  replace({ id, file, rowCount, bytes }: OutboxEntry, losses: readonly Loss[] = []): void {
    this.#transact(() => {
      this.#statements.replaceOutbox.run({ id, file, rowCount, bytes });
      this.#ledger.add(losses);
    });
  }

  confirm(outboxId: number, keepFromMs?: number): void {
    this.#transact(() => {
      this.#statements.deleteOutbox.run(outboxId);
      this.#ledger.confirm(outboxId);
      this.#kept.deleteOlder(this.#recentSeq, keepFromMs);
      this.#choices.forget();
    });
  }

  releaseKept(messages: number): number {
    return this.#transact(() => this.#kept.release(this.#recentSeq, messages));
  }

  releaseRecent(): void {
    this.#end.releaseRecent();
    this.#transact(() => {
      this.#position.deleteBlocks(this.#endSeq);
    });
  }

  evict({ blocks, losses }: EvictRequest): void {
    const { replaceBlock, deleteBlock, blockPlace } = this.#statements;
    this.#transact(() => {
      for (const { firstSeq, bytes } of blocks) {
        assert(this.#position.isWaiting(firstSeq), 'what is in a shipment is not evicted');
        const place = blockPlace.get(firstSeq) as BlockPlace | undefined;
        if (!place) continue;
        if (bytes) replaceBlock.run({ firstSeq, bytes: packBlock(bytes, place) });
        else {
          deleteBlock.run(firstSeq);
          this.#gaps.add({ firstSeq, endSeq: firstSeq + place.messageCount });
        }
      }
      this.#ledger.add(losses);
      this.#position.moveTo(this.#position.reached.nextSeq, this.#endSeq);
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
    return asFailures(() => this.#letters.newest(limit));
  }

  deadLettersFrom(fromSeq: number, endSeq: number, limit: number): DeadLetter[] {
    return asFailures(() => this.#letters.within(fromSeq, endSeq, limit));
  }

  replayDeadLetters(request: ReplayRequest): Loss[] {
    const replays = new LetterReplays(this.#statements, this.#choices);
    const { rows, losses } = this.#transact(() => {
      const replay = replays.take(request, this.#endSeq);
      this.#end.insert(replay.rows);
      this.#ledger.add(replay.losses);
      return replay;
    });
    this.#end.note(rows);
    this.#writeMark();
    return losses;
  }

  sizes(waitingFromSeq: number): LogSizes {
    return asFailures(() => {
      const sizes = this.#sizer.read(waitingFromSeq, this.#endSeq);
      const kept = this.#kept.facts(this.#recentSeq, sizes.oldestSeq, this.#endSeq);
      return { ...sizes, ...kept, appendedBytes: this.#end.appendedBytes };
    });
  }

  subscribed(session: string): string[] {
    return asFailures(() => this.#subscribed.read(session));
  }

  setSubscribed(session: string, filters: readonly string[]): void {
    this.#transact(() => this.#subscribed.write(session, filters));
  }

  close(): void {
    this.#mark.close();
    asFailures(() => this.#db.close());
  }

  get #endSeq(): number {
    return this.#end.seq;
  }

  /** From here on blocks are kept in any case. */
  get #recentSeq(): number {
    return this.#end.recentSeq ?? this.#endSeq;
  }

  #transact<T>(work: () => T): T {
    return asFailures(() => {
      const sealed = () => {
        const done = work();
        this.#seal.renew();
        return done;
      };
      const result = this.#db.transaction(sealed).immediate();
      this.#position.recall();
      this.#writeMark();
      return result;
    });
  }

  #writeMark(): void {
    this.#mark.write({ ...this.#position.reached, agent: this.#agent, endSeq: this.#endSeq });
  }

  /** What is in no shipment is in a block or in a known gap. */
  #requireNoGap(range: SeqRange): void {
    const [missing] = this.#position
      .waitingWithin(range)
      .flatMap((waiting) => this.#gaps.unexplained(waiting));
    if (!missing) return;
    throw new Failure(
      'log_corrupt',
      `the edge database: messages ${missing.firstSeq} to ${missing.endSeq - 1} are missing`,
    );
  }

  /** Returns where the log goes on. */
  #setBlockAside(row: PackedRow, why: string): number {
    const damaged = this.#damaged.keepBytes(row, why, this.#endSeq);
    this.#transact(() => {
      const loss = this.#damaged.forget(damaged);
      if (loss) this.#setAside.push(loss);
      this.#position.moveTo(this.#position.reached.nextSeq, this.#endSeq);
    });
    return damaged.endSeq;
  }
}
