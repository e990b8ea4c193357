/**
 * The edge log: the durable sequence of messages, and what has become of them. One SQLite file, one writer.
 *
 *     blocks        messages in order, a block per group commit; kept until what was made of them is in the store
 *     position      the first message that is in no shipment yet, but for
 *     backlog       ranges before it that were jumped over after an outage, and follow in a lane of their own
 *     open ranges   messages before it whose rows are in windows of aggregates that have not been written (`aggregate/`)
 *     kept          blocks that nothing needs, for as long as a stream keeps its messages, or there is room (`keep-raw.ts`)
 *     outbox        shipments whose file is on disk and whose number is taken, until the store confirms them
 *     dead letters  messages that no stream could read, with the reason
 *     losses        the ledger of what was dropped, until the store has it (`loss.ts`)
 *     choices       which streams a message is for, where not for all: dead letters that were replayed (`stream-choices.ts`)
 *     boots         which wall clock the monotonic clock of each boot turned out to be (`boots.ts`)
 *
 * Promises: `append` resolves when the transaction is on the disk (WAL, synchronous=FULL), so an acknowledgement may
 * follow (DESIGN I1). `stage` moves the position and records the shipments in one transaction, so a message is in one
 * shipment whatever is killed (I2). `confirm` deletes blocks only outside of everything unshipped and unconfirmed (I3); `evict`
 * drops what is in no shipment, and writes that into the ledger in the same transaction.
 *
 * Damage: a block whose checksum is wrong is set aside when it is read. Everything else that does not hold – SQLite's pages,
 * the seal of position, lanes and outbox (`seal.ts`), messages that are in no block and no known gap (`gaps.ts`), a database
 * behind its high-water mark (`high-water.ts`) – is a Failure `log_corrupt`, and what can be read is salvaged into a new
 * database (`salvage.ts`): at the start, or at once and with the agent's parts started anew.
 *
 * This is the interface; `SqliteLog` does it, on a thread of its own behind `startEdgeLog`, so that an fsync that takes
 * an SD card a second stops nobody.
 */
import type { Lane } from '@varve/common/contract/object-keys.js';
import type { BlockArrival, BootState, BootTrust } from './boots.js';
import type { LedgerRow, Loss, LossFacts } from './loss.js';
import type { StreamChoice } from '../message.js';

export type LaneOfTable = Pick<Lane, 'lane' | 'database' | 'table'>;

export interface NewBlock {
  readonly source: string;
  readonly messageCount: number;
  /** As `BlockBuilder.finish` made it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface StoredBlock extends NewBlock {
  readonly firstSeq: number;
  /** Absent: as the block says. */
  readonly arrival?: BlockArrival | undefined;
  /** By message number; absent: all of them are for every stream. */
  readonly choices?: ReadonlyMap<number, StreamChoice> | undefined;
}

/** What partials were made of, so that they can be made again (`aggregate/`). */
export interface AggregateRecipe {
  readonly part: string;
  /** Of rows in `openRanges`: those from there on; null: all. */
  readonly fromUs: number | null;
  /** Those below; null: all. */
  readonly belowUs: number | null;
  readonly openRanges: readonly LogRange[];
  readonly window: LogRange | null;
}

/** Which rows of its messages a reduced shipment holds, so that it can be made again (`reduce/`). */
export interface ReduceRecipe {
  /** Of all rows of its messages. */
  readonly rowCount: number;
  /** One bit for each of them, deflated, in base64. */
  readonly leaves: string;
  /** Rows that were held back before, deflated JSON in base64. */
  readonly released: string | null;
}

/** A finished shipment whose file is durable. */
export interface StagedShipment extends LaneOfTable {
  readonly seq: number;
  /** File name in the outbox folder. */
  readonly file: string;
  readonly rowCount: number;
  readonly bytes: number;
  readonly firstLogSeq: number;
  readonly lastLogSeq: number;
  readonly stagedMs: number;
  /** Of partials, and of rows of which some were left out. */
  readonly recipe?: AggregateRecipe | ReduceRecipe | undefined;
}

export interface OutboxEntry extends StagedShipment {
  /** In the order of staging. */
  readonly id: number;
  /** The newest boot whose clock was known when it was made (`boots.ts`); absent: all that are. */
  readonly clockBoot?: number;
}

export interface DeadLetter {
  readonly seq: number;
  readonly source: string;
  /** The first stream that refused it; null where none wanted it. */
  readonly stream: string | null;
  /** All that refused it; none where none wanted it. */
  readonly refusedBy: readonly string[];
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Stable, for counting: `not_json`, `no_field`, `no_time`, `no_stream`, … */
  readonly code: string;
  /** For people. */
  readonly reason: string;
  readonly arrivedMs: number;
}

/** Messages from `firstSeq` on, up to before `endSeq`. */
export interface LogRange {
  readonly firstSeq: number;
  readonly endSeq: number;
}

/** What is durable of aggregates. */
export interface AggregateState {
  /** By `database.table` of an aggregate: all its windows that end there or before have been written. */
  readonly closedMs: ReadonlyMap<string, number>;
  /** Messages whose rows are in windows that are still open, in order. Read again after a kill. */
  readonly openRanges: readonly LogRange[];
}

/** What a reducer remembers (`reduce/series-states.ts`): a change of it, or all. */
export interface ReductionChange {
  /** `database.table` */
  readonly table: string;
  /** Instead of what was there, not besides. */
  readonly isWhole: boolean;
  /** Null: nothing. */
  readonly bytes: Uint8Array<ArrayBuffer> | null;
}

export interface ReductionState {
  /** The live lane's position that it is of. */
  readonly nextSeq: number;
  /** In the order of their coming. */
  readonly states: readonly { readonly table: string; readonly bytes: Uint8Array }[];
}

export interface StageRequest {
  readonly shipments: readonly StagedShipment[];
  readonly deadLetters: readonly DeadLetter[];
  /** The position afterwards. */
  readonly nextSeq: number;
  /** All ranges of the backlog afterwards, in order; absent: as before. */
  readonly backlog?: readonly LogRange[];
  /** Absent: as before. */
  readonly aggregates?: AggregateState;
  /** It is of the position afterwards; absent: as before. */
  readonly reduction?: readonly ReductionChange[];
  /** Ledger rows that are in the last of the shipments: all up to this one. */
  readonly lastLossId?: number;
  /** What the window found out about its messages' arrival times. */
  readonly losses?: readonly Loss[];
  /** The wall clock, where it is trusted. */
  readonly trustedMs?: number | undefined;
  /** Wall clock, for the ledger. */
  readonly nowMs: number;
  /** As in `confirm`. */
  readonly keepFromMs?: number;
}

export interface Staged {
  readonly entries: OutboxEntry[];
  /** Dropped to stay within the bound. */
  readonly deadLettersDropped: number;
  /** Where the next message is that is in no shipment: behind `StageRequest.nextSeq`, if what follows it was evicted. */
  readonly nextSeq: number;
  /** Ledger rows in no shipment yet. */
  readonly waitingLosses: number;
}

/** What of a letter stays a letter. */
export type StillRefused = Pick<DeadLetter, 'stream' | 'code' | 'reason' | 'refusedBy'>;

export interface ReplayRequest {
  /** `readBy` is not empty. */
  readonly letters: readonly {
    readonly seq: number;
    readonly readBy: readonly string[];
    readonly left?: StillRefused | undefined;
  }[];
  /** Wall clock, for the ledger. */
  readonly nowMs: number;
}

export interface EvictRequest {
  /** Blocks at or behind the position, or of the backlog: new bytes with the same number of messages, or undefined to drop it. */
  readonly blocks: readonly { readonly firstSeq: number; readonly bytes: Uint8Array | undefined }[];
  readonly losses: readonly Loss[];
}

export interface LogState {
  /** One life of this database (DESIGN §3); later lives sort after earlier ones. */
  readonly epoch: string;
  /** The first message in no shipment yet, but for the backlog. */
  readonly nextSeq: number;
  /** Below it, in order: what was jumped over and is in no shipment yet. */
  readonly backlog: readonly LogRange[];
  readonly aggregates: AggregateState;
  readonly reduction: ReductionState;
  /** One more than the newest message's number. */
  readonly endSeq: number;
  /** From here on blocks are kept in any case, so that redeliveries are recognised after a restart. */
  readonly recentSeq: number;
  readonly outbox: readonly OutboxEntry[];
  /** The next shipment's number, for every lane and table that has had one. */
  readonly nextShipmentSeqs: readonly (LaneOfTable & { readonly seq: number })[];
  readonly deadLetterCount: number;
  /** Ledger rows in no shipment yet. */
  readonly waitingLosses: number;
}

export interface LogSizes {
  /** Of the database and its write-ahead log, on disk. */
  readonly bytes: number;
  /** The oldest message that is kept, and one more than the newest. */
  readonly oldestSeq: number;
  readonly endSeq: number;
  /** Of the database: what holds something, and what is free inside the file and will be used before the file grows. */
  readonly usedBytes: number;
  readonly reusableBytes: number;
  /** Bytes of blocks appended since it was opened. */
  readonly appendedBytes: number;
  /** Arrival of the first message there is from `waitingFromSeq` on. */
  readonly oldestWaitingMs: number | undefined;
  /** Messages that nothing needs, which are kept all the same (`keep-raw.ts`), and their share of all that there are. */
  readonly keptMessages: number;
  readonly keptShare: number;
  /** Arrival of the oldest of them. */
  readonly keptSinceMs: number | undefined;
}

export interface EdgeLog {
  /** What was there at opening. */
  readonly opened: LogState;

  /** Returns each block's first message number, when all of them are durable. One transaction, one fsync. */
  append(blocks: readonly NewBlock[]): Promise<number[]>;

  /**
   * Blocks from the one that holds `fromSeq` on, in order: at least one if there is one, else up to `bytesMax`. Damaged
   * blocks are set aside on the way, with a ledger row for what is in no shipment. Arrival times are as known when
   * `clockBoot` was the newest boot known; absent: now.
   */
  read(fromSeq: number, bytesMax: number, clockBoot?: number): Promise<StoredBlock[]>;

  /** The boot of this id (any text, unique to the boot). Blocks that come name its number. Durable when it resolves. */
  beginBoot(id: string): Promise<BootState>;

  /** From now on all arrival times of this boot are known. The first time counts. Durable when it resolves. */
  trustBoot(trust: BootTrust): Promise<void>;

  /** Moves the position, takes the shipments' numbers, keeps dead letters and their losses. Durable when it resolves. */
  stage(request: StageRequest): Promise<Staged>;

  /** The shipment of this id has another file from now on, with these losses. Durable when it resolves. */
  replace(entry: OutboxEntry, losses?: readonly Loss[]): Promise<void>;

  /** The ledger rows that are in this shipment. */
  shippedLosses(outboxId: number): Promise<LedgerRow[]>;

  /**
   * The store has this shipment. Forgets it, its ledger rows, and the blocks that nothing needs any more, but for those whose
   * messages came at `keepFromMs` or later.
   */
  confirm(outboxId: number, keepFromMs?: number): Promise<void>;

  /** Deletes the oldest blocks that nothing needs, about so many messages. Returns how many there were. */
  releaseKept(messages: number): Promise<number>;

  /** Drops messages, moves the position over them, and writes the losses down, in one transaction. */
  evict(request: EvictRequest): Promise<void>;

  /**
   * Gives up the blocks that are kept only to recognise redeliveries after a restart: for a disk that has no room for them. A
   * message that comes again then is stored again.
   */
  releaseRecent(): Promise<void>;

  /** The oldest ledger rows in no shipment. They stay as they are. */
  waitingLosses(): Promise<LedgerRow[]>;

  losses(): Promise<LossFacts>;

  /** The newest dead letters, newest first. */
  deadLetters(limit: number): Promise<DeadLetter[]>;

  /** The oldest dead letters with a number from `fromSeq` on, up to before `endSeq`. */
  deadLettersFrom(fromSeq: number, endSeq: number, limit: number): Promise<DeadLetter[]>;

  /** Dead letters become messages at the end of the log, for the streams that can read them. Returns the ledger's rows. */
  replayDeadLetters(request: ReplayRequest): Promise<Loss[]>;

  sizes(waitingFromSeq: number): Promise<LogSizes>;

  /** Topic filters of a broker's session, as last set. */
  subscribed(session: string): Promise<string[]>;

  /** Durable when it resolves. */
  setSubscribed(session: string, filters: readonly string[]): Promise<void>;

  close(): Promise<void>;
}

/**
 * The newest blocks stay, up to these bounds, even when the store has what was made of them: the broker may send their
 * messages again. More than it can have under way: a source holds 10,000 messages or 16 MB, the rest is in socket buffers.
 */
export const recentMessagesMax = 20_000;
export const recentBytesMax = 64_000_000;

/** Bounds of the dead-letter table; the oldest go first. */
export const deadLettersMax = 10_000;
export const deadLetterBytesMax = 32_000_000;
/** Of one dead letter's payload; the rest is cut off, its reason says so. */
export const deadLetterPayloadBytesMax = 65_536;
