/**
 * Keeps the buffer – log and outbox – within its bounds.
 *
 * 1. Every half second, and at once when the disk refuses a write: measure. 2. What is kept though nothing needs it goes first (`planRelease`). Then
 * `planRelief` decides. 3. Close or open the
 * intake of all sources, or drop a bounded step of messages and begin again at 1. Overshoot: what comes in half a second.
 *
 * A disk that refused a write is left in peace for some seconds, and longer each time that it refuses soon again; then
 * sources try again. Shipping never stops.
 */
import type { Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { EdgeLog } from '../log/edge-log.js';
import { Trouble } from '../trouble.js';
import { Wakeup } from '../wakeup.js';
import type { Outbox } from '../ship/outbox.js';
import type { Pump } from '../ship/pump.js';
import { shareBytes, type BufferLimits } from './buffer-config.js';
import { diskRoom, type DiskRoom } from './disk-room.js';
import type { Evictor } from './evictor.js';
import { FillRate } from './fill-rate.js';
import type { IntakeGate } from './intake-gate.js';
import {
  planRelease,
  planRelief,
  roomBytes,
  type BufferState,
  type BufferUsage,
  type Relief,
} from './plan-relief.js';
import { reserveBytes, type ReserveFile } from './reserve-file.js';

const lookEveryMs = 500;
const diskRestMs = { first: 5_000, max: 60_000 };

export interface BufferFacts {
  readonly state: BufferState;
  readonly reason: string | undefined;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly freeBytes: number;
  readonly daysLeft: number | undefined;
  readonly kept: {
    readonly bytes: number;
    readonly sinceMs: number | undefined;
    /** Messages that went before their time since the start, because the buffer needed the room. */
    readonly releasedMessages: number;
  };
}

export interface BufferKeeperOptions {
  readonly dataDir: string;
  readonly limits: BufferLimits;
  readonly log: Pick<EdgeLog, 'sizes' | 'releaseRecent' | 'releaseKept'>;
  readonly pump: Pick<Pump, 'readSeq' | 'waitingMessages'>;
  readonly outbox: Pick<Outbox, 'bytes' | 'messages'>;
  readonly intake: IntakeGate;
  readonly evictor: Pick<Evictor, 'dropLowest' | 'dropOlder'>;
  readonly reserve: Pick<ReserveFile, 'hold' | 'giveUp'>;
  /** Of the disk that the folder lies on; absent: asks the system. */
  readonly diskRoom?: (path: string) => Promise<Pick<DiskRoom, 'freeBytes'>>;
  readonly clock: Clock;
  /** The wall clock where it is trusted. */
  readonly trustedNowMs: () => number | undefined;
  readonly logger: Logger;
  /** `mayStage` may have become true. */
  readonly onRoom: () => void;
}

export class BufferKeeper {
  readonly #options: BufferKeeperOptions;
  readonly #wakeup: Wakeup;
  readonly #rate = new FillRate();
  readonly #trouble = new Trouble();
  #relief: Relief = { state: 'collecting', reason: undefined };
  #usage: BufferUsage | undefined;
  #stagedLogBytes = 0;
  #keptSinceMs: number | undefined;
  #keptMessages = 0;
  #releasedMessages = 0;
  #diskRestsUntilMs = Number.NEGATIVE_INFINITY;
  #diskRestMs = diskRestMs.first;

  constructor(options: BufferKeeperOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
    options.intake.onDiskFull = () => {
      this.#restDisk(options.clock.monotonicMs());
      this.#wakeup.wake();
    };
  }

  /** False while so much of the log is in shipments that there must be room for what is not. */
  mayStage(): boolean {
    return this.#stagedLogBytes < shareBytes(this.#options.limits).stagedLogBytesMax;
  }

  /** Until the next look, so that much can be staged only once. */
  noteStaged(logBytes: number): void {
    this.#stagedLogBytes += logBytes;
  }

  facts(): BufferFacts {
    const { bytes = 0, freeBytes = 0, keptBytes = 0 } = this.#usage ?? {};
    const { limits } = this.#options;
    const room = this.#usage ? roomBytes(this.#usage, limits) : 0;
    const { bytesMax } = limits;
    const kept = { bytes: keptBytes, sinceMs: this.#keptSinceMs, releasedMessages: this.#releasedMessages };
    return { ...this.#relief, bytes, bytesMax, freeBytes, daysLeft: this.#rate.daysLeft(room), kept };
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#look(signal);
        if (this.#trouble.ends()) this.#options.logger.info('the buffer is looked after again');
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        if (this.#trouble.begins(error))
          this.#options.logger.error({ err: error, hint: error.hint }, 'the buffer cannot be looked after');
      }
      await this.#wakeup.wait(signal, lookEveryMs);
    }
  }

  #restDisk(nowMs: number): void {
    const wasTriedMs = nowMs - this.#diskRestsUntilMs;
    // While it rests, shipping may find it full again: that says nothing new.
    if (this.#relief.state !== 'stopped')
      this.#diskRestMs =
        wasTriedMs < this.#diskRestMs ? Math.min(2 * this.#diskRestMs, diskRestMs.max) : diskRestMs.first;
    this.#diskRestsUntilMs = nowMs + this.#diskRestMs;
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { limits, reserve, log, outbox } = this.#options;
    for (;;) {
      this.#usage = await this.#measure();
      if (this.#usage.isDiskFull) await reserve.giveUp();
      if (await this.#release(this.#usage)) continue;
      const relief = planRelief(this.#usage, limits, this.#relief.state);
      const isDropped = relief.state === 'dropping' && (await this.#drop(relief));
      // With nothing left to drop, only shipping makes room. Sources that stopped for that wait until there is clearly some.
      const mustStop = relief.state === 'dropping' && (!isDropped || this.#relief.state === 'stopped');
      this.#apply(mustStop ? { ...relief, state: 'stopped' } : relief);
      if (!isDropped || signal.aborted) break;
    }
    // All is shipped, and there is no room yet: what is left is kept for convenience only.
    if (this.#relief.state === 'stopped' && outbox.bytes === 0 && this.#usage.keptBytes === 0)
      await log.releaseRecent();
    if (this.#relief.state === 'collecting' && this.#usage.freeBytes > 4 * reserveBytes) await reserve.hold();
  }

  async #measure(): Promise<BufferUsage> {
    const { dataDir, log, pump, outbox, clock, onRoom } = this.#options;
    const sizes = await log.sizes(pump.readSeq);
    const { usedBytes, endSeq } = sizes;
    this.#rate.add(clock.monotonicMs(), sizes.appendedBytes);
    const mightStage = this.mayStage();
    // By number of messages: close enough for a bound.
    const { messages } = outbox;
    const keptBytes = Math.round(usedBytes * sizes.keptShare);
    this.#keptSinceMs = sizes.keptSinceMs;
    this.#keptMessages = sizes.keptMessages;
    const neededBytes = usedBytes - keptBytes;
    this.#stagedLogBytes = (neededBytes * messages) / Math.max(1, messages + pump.waitingMessages(endSeq));
    if (this.mayStage() && !mightStage) onRoom();
    return {
      bytes: usedBytes + outbox.bytes,
      keptBytes,
      freeBytes: (await (this.#options.diskRoom ?? diskRoom)(dataDir)).freeBytes,
      reusableBytes: sizes.reusableBytes,
      oldestWaitingMs: sizes.oldestWaitingMs,
      nowMs: this.#options.trustedNowMs(),
      isDiskFull: clock.monotonicMs() < this.#diskRestsUntilMs,
    };
  }

  /** Some of what nothing needs any more. False when there is no need to. */
  async #release(usage: BufferUsage): Promise<boolean> {
    const bytes = planRelease(usage, this.#options.limits);
    if (bytes <= 0) return false;
    const share = bytes / usage.keptBytes;
    const released = await this.#options.log.releaseKept(Math.ceil(this.#keptMessages * share));
    this.#releasedMessages += released;
    return released > 0;
  }

  async #drop({ reason = '', dropBeforeMs }: Relief): Promise<boolean> {
    const { evictor } = this.#options;
    return dropBeforeMs === undefined ? evictor.dropLowest(reason) : evictor.dropOlder(dropBeforeMs, reason);
  }

  #apply(relief: Relief): void {
    const { intake, logger } = this.#options;
    const before = this.#relief.state;
    this.#relief = relief;
    if (relief.state === 'stopped') intake.stop(relief.reason ?? '');
    else if (!intake.isOpen) intake.resume();
    if (relief.state === before) return;
    if (relief.state === 'collecting') logger.info('the buffer has room again');
    else
      logger.warn(
        { reason: relief.reason },
        relief.state === 'stopped'
          ? 'the buffer is full: reading stops, the broker keeps the messages, shipping goes on'
          : 'the buffer is full: the oldest messages are dropped; table varve_losses says which',
      );
  }
}
