/**
 * The pump: reads the log from the position on, fills the window, and closes it into shipments.
 *
 * 1. Read blocks and decode them into the window, while it has room. 2. When the window is due – `ship.every` since its
 * first message, or `ship.max_rows`, or `ship.max_bytes` – and the outbox has room: stage it (`stager.ts`), which moves the
 * position behind it. Killed before that, the next start reads the same messages again.
 *
 * With `ship.live_first` there are two such readers after an outage (`plan-lanes.ts`): the live one, which goes first, and
 * one that drains the ranges the live one jumped over. Both positions move in the same transaction as the shipments, so
 * every message is in one shipment of one lane, wherever it is killed.
 *
 * When the clock comes to be trusted (`clock-trust/`), both windows are let go and read again: no shipment is made half
 * before and half after that.
 *
 * Rows of the loss ledger and windows of aggregates go with the live window that closes next; without messages they make a
 * window of their own.
 */
import { Failure, isFailure } from '@varve/common/errors.js';
import type { Router } from '../decode/router.js';
import type { EdgeLog, LogRange } from '../log/edge-log.js';
import { Trouble } from '../trouble.js';
import { Turns } from '../turns.js';
import { Wakeup } from '../wakeup.js';
import { LaneReader } from './lane-reader.js';
import {
  addRange,
  advanceRanges,
  backlogLane,
  countMessages,
  liveLane,
  planCatchUp,
  planJump,
  planJumpAtReturn,
  staleMsOf,
  type ShippingLane,
} from './plan-lanes.js';
import { Stager, type StagerOptions } from './stager.js';
import type { ClosingPolicy, Window } from './window.js';

/** One read of the log: small enough to decode between two packets of the network. */
const readBytesMax = 256_000;
const retryMs = 5_000;

export interface PumpOptions extends StagerOptions {
  readonly log: Pick<EdgeLog, 'opened' | 'read' | 'stage' | 'sizes' | 'waitingLosses'>;
  readonly router: Router;
  readonly policy: ClosingPolicy & { readonly liveFirst: boolean };
  /** New shipments are in the outbox, made of so many bytes of the log. */
  readonly onStaged: (logBytes: number) => void;
  /** False while as much of the log is in shipments as may be. */
  readonly mayStage: () => boolean;
  readonly onDiskFull: (message: string) => void;
}

export class Pump {
  readonly #options: PumpOptions;
  readonly #wakeup: Wakeup;
  readonly #stager: Stager;
  readonly #reading = new Turns();
  readonly #live: LaneReader;
  readonly #backlog: LaneReader;
  /** Of the backlog; what the log holds, and what was jumped over since. */
  #ranges: readonly LogRange[];
  readonly #trouble = new Trouble();
  #isAtEnd = false;
  #isStoreBack = false;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
    this.#stager = new Stager(options);
    const { nextSeq, backlog } = options.log.opened;
    this.#live = new LaneReader(liveLane, nextSeq, options.arrivals);
    this.#ranges = backlog;
    this.#backlog = new LaneReader(backlogLane, backlog[0]?.firstSeq ?? nextSeq, options.arrivals);
  }

  /** There may be more to read, or more room in the outbox. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** The store takes shipments again. */
  noteStoreBack(): void {
    this.#isStoreBack = true;
    this.wake();
  }

  /** There are new rows in the loss ledger. */
  noteLosses(): void {
    this.#stager.noteLosses();
    this.wake();
  }

  /** Runs `work` while nothing is read from the log: messages in `waitingRanges` are in no window meanwhile. */
  whileNotReading<T>(work: (waitingRanges: readonly LogRange[]) => Promise<T>): Promise<T> {
    return this.#reading.run(() => work(this.#unreadRanges()));
  }

  /** The first message that is in no shipment yet. */
  get nextSeq(): number {
    return this.#ranges[0]?.firstSeq ?? this.#live.unstagedSeq;
  }

  /** The first message that has not been read yet: it is in no shipment and in no window. */
  get readSeq(): number {
    return this.#unreadRanges()[0]?.firstSeq ?? this.#live.nextSeq;
  }

  /** Messages that were jumped over, and are in no shipment yet. */
  get backlogMessages(): number {
    return countMessages(this.#ranges);
  }

  /** Messages that are in no shipment yet, of a log that ends at `endSeq`. */
  waitingMessages(endSeq: number): number {
    return this.backlogMessages + endSeq - this.#live.unstagedSeq;
  }

  /** Messages that wait for a trusted clock, of a log that ends at `endSeq`; or are behind one that does. */
  heldMessages(endSeq: number): number {
    return this.#live.isHeld ? endSeq - this.#live.nextSeq : 0;
  }

  /** The last look at the log found nothing new, and nothing is left of the backlog. */
  get isAtEnd(): boolean {
    return this.#isAtEnd && this.#ranges.length === 0;
  }

  /** Runs until `signal` aborts. The open windows are let go then: they are in the log. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#step(signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        if (isFailure(error, 'disk_full')) this.#options.onDiskFull(error.message);
        if (this.#trouble.begins(error))
          this.#options.logger.error(
            { err: error, hint: error.hint },
            'no shipments can be made; trying again',
          );
        this.#startOver();
        await this.#options.clock.sleep(retryMs, signal);
      }
    }
  }

  /** One thing: the live lane's, if there is one to do. */
  async #step(signal: AbortSignal): Promise<void> {
    if (await this.#options.arrivals?.settle()) this.#startOver();
    if ((await this.#stepLive()) || (await this.#stepBacklog())) return;
    const { policy, clock } = this.#options;
    const dueInMs = this.#live.window?.dueInMs(clock.monotonicMs(), policy);
    // What is due waits for room, which wakes; or becomes old enough to be jumped over. It may have become due just now.
    const waitsForRoom = dueInMs === 0 && !this.#hasRoom(liveLane);
    await this.#wakeup.wait(
      signal,
      waitsForRoom ? staleMsOf(policy.everyMs) : (dueInMs ?? this.#stager.dueInMs),
    );
  }

  /** False when there is nothing to do. */
  async #stepLive(): Promise<boolean> {
    const { policy, clock } = this.#options;
    const { window } = this.#live;
    const isDue = window?.dueInMs(clock.monotonicMs(), policy) === 0;
    const hasRoom = this.#hasRoom(liveLane);
    // A window that waits for room takes no more: what is not in it can still be dropped.
    const takesMore = !window?.isFull(policy) && (!isDue || hasRoom);
    // A window without messages, for the ledger alone, has nothing to jump over.
    const isStuck = !takesMore && window !== undefined && window.lastSeq >= window.firstSeq;
    if (
      this.#shouldJump(isStuck) ||
      this.#shouldJumpAtReturn(window) ||
      (isStuck && window.isFull(policy) && (await this.#isFarBehind()))
    ) {
      await this.#reading.run(() => this.#jump());
      return true;
    }
    if (isDue && hasRoom) {
      await this.#close(this.#live, window);
      return true;
    }
    const isRead = takesMore && (await this.#reading.run(() => this.#readLive()));
    this.#isAtEnd = takesMore && !isRead && !this.#live.isHeld;
    if (this.#isAtEnd) this.#isStoreBack = false;
    if (isRead || this.#live.window || this.#stager.dueInMs !== 0) return isRead;
    this.#live.passTo(this.#live.nextSeq, clock.monotonicMs());
    return true;
  }

  async #readLive(): Promise<boolean> {
    const { log, router, clock } = this.#options;
    if (this.#live.isHeld) return false;
    const blocks = await log.read(this.#live.nextSeq, readBytesMax);
    return blocks.length > 0 && this.#live.take(blocks, router, clock.monotonicMs());
  }

  #shouldJump(isWindowStuck: boolean): boolean {
    return planJump({ ...this.#liveState(), isWindowStuck });
  }

  /** Decided once, by the first message that is not staged yet. */
  #shouldJumpAtReturn(window: Window | undefined): boolean {
    if (!this.#isStoreBack || window === undefined || window.lastSeq < window.firstSeq) return false;
    this.#isStoreBack = false;
    return planJumpAtReturn(this.#liveState());
  }

  #liveState() {
    const { everyMs, liveFirst } = this.#options.policy;
    const { arrivedMs } = this.#live;
    return {
      liveFirst,
      everyMs,
      arrivedMs,
      nowMs: this.#options.clock.nowMs(),
      rangeCount: this.#ranges.length,
    };
  }

  /** So much waits behind a full window that new messages would be late. */
  async #isFarBehind(): Promise<boolean> {
    const { log, policy } = this.#options;
    const { nextSeq } = this.#live;
    const { endSeq } = await log.sizes(nextSeq);
    const { liveFirst, rowsMax } = policy;
    return planCatchUp({
      liveFirst,
      rowsMax,
      messagesBehind: endSeq - nextSeq,
      rangeCount: this.#ranges.length,
    });
  }

  /** Becomes durable with the next shipment of either lane; killed before it, the jump is made again. */
  async #jump(): Promise<void> {
    const { log, logger } = this.#options;
    const firstSeq = this.#live.unstagedSeq;
    const { endSeq } = await log.sizes(firstSeq);
    if (this.#ranges.length === 0) {
      this.#backlog.goTo(firstSeq);
      logger.info(
        { messages: endSeq - firstSeq },
        'newest data goes first; what waited follows in its own lane',
      );
    }
    this.#ranges = addRange(this.#ranges, { firstSeq, endSeq });
    this.#live.goTo(endSeq);
  }

  /** False when there is nothing to do, or no room for it. */
  async #stepBacklog(): Promise<boolean> {
    const [range] = this.#ranges;
    if (!range) return false;
    const { window, nextSeq } = this.#backlog;
    if (window && (window.isFull(this.#options.policy) || nextSeq >= range.endSeq)) {
      if (!this.#hasRoom(backlogLane)) return false;
      await this.#close(this.#backlog, window);
      return true;
    }
    return this.#reading.run(() => this.#readBacklog(range));
  }

  async #readBacklog({ endSeq }: LogRange): Promise<boolean> {
    const { log, router, clock } = this.#options;
    if (this.#backlog.isHeld) return false;
    const blocks = await log.read(this.#backlog.nextSeq, readBytesMax);
    const nowMs = clock.monotonicMs();
    if (blocks.length > 0) return this.#backlog.take(blocks, router, nowMs, endSeq);
    this.#backlog.passTo(endSeq, nowMs);
    return true;
  }

  async #close(reader: LaneReader, window: Window): Promise<void> {
    const isLive = reader === this.#live;
    const { nextSeq } = await this.#stager.stage(reader.lane, window, {
      nextSeq: isLive ? reader.nextSeq : this.#live.unstagedSeq,
      backlog: isLive ? this.#ranges : advanceRanges(this.#ranges, reader.nextSeq),
    });
    if (this.#trouble.ends()) this.#options.logger.info('shipments are made again');
    reader.closeWindow();
    if (isLive) reader.goTo(Math.max(reader.nextSeq, nextSeq));
    else this.#advanceBacklog();
    this.#options.onStaged(window.logBytes);
  }

  #advanceBacklog(): void {
    this.#ranges = advanceRanges(this.#ranges, this.#backlog.nextSeq);
    const [range] = this.#ranges;
    if (range) this.#backlog.goTo(range.firstSeq);
    else this.#options.logger.info('the backlog is in shipments');
  }

  #hasRoom(lane: ShippingLane): boolean {
    const { outbox, policy, mayStage } = this.#options;
    return outbox.hasRoom(lane, policy) && mayStage();
  }

  /** In order: what is left of the backlog, and the log's end. */
  #unreadRanges(): LogRange[] {
    const live = { firstSeq: this.#live.nextSeq, endSeq: Number.POSITIVE_INFINITY };
    return [...advanceRanges(this.#ranges, this.#backlog.nextSeq), live];
  }

  /** Nothing of the windows has been staged: they are read again from the log. */
  #startOver(): void {
    this.#live.goTo(this.#live.unstagedSeq);
    this.#backlog.goTo(this.#backlog.unstagedSeq);
  }
}
