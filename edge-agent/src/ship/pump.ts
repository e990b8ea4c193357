/**
 * The pump: reads the log from the position on, fills the window, and closes it into shipments.
 *
 * 1. Read blocks and decode them into the window, while it has room. 2. When the window is due – `ship.every` since its
 * first message, or `ship.max_rows`, or `ship.max_bytes` – and the outbox has room: encode each table's batch into a file,
 * durably. 3. In one transaction take the shipments' numbers, record the dead letters, and move the position behind the
 * window: this is the commit point. Killed before it, the next start reads the same messages again, and removes the files.
 *
 * With `ship.live_first` there are two such readers after an outage (`plan-lanes.ts`): the live one, which goes first, and
 * one that drains the ranges the live one jumped over. Both positions move in the same transaction as the shipments, so
 * every message is in one shipment of one lane, wherever it is killed.
 */
import type { Clock } from '@varve/common/clock.js';
import { firstSeq as firstShipmentSeq } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { TableBatch } from '../batch/table-batch.js';
import type { StreamConfig } from '../config.js';
import type { Router } from '../decode/router.js';
import type { ParquetEncoder } from '../encode/parquet-encoder.js';
import type { EdgeLog, LaneOfTable, LogRange, StagedShipment } from '../log/edge-log.js';
import type { EdgeMetrics } from '../metrics.js';
import { Wakeup } from '../wakeup.js';
import { LaneReader } from './lane-reader.js';
import type { Outbox } from './outbox.js';
import {
  addRange,
  advanceRanges,
  backlogLane,
  countMessages,
  liveLane,
  planJump,
  staleMsOf,
  type ShippingLane,
} from './plan-lanes.js';
import { Window, type ClosingPolicy } from './window.js';
import { writeShipment } from './write-shipment.js';

/** One read of the log: small enough to decode between two packets of the network. */
const readBytesMax = 256_000;
const retryMs = 5_000;

export interface PumpOptions {
  readonly agent: string;
  readonly log: Pick<EdgeLog, 'opened' | 'read' | 'stage' | 'sizes'>;
  readonly router: Router;
  readonly encoder: Pick<ParquetEncoder, 'encode'>;
  readonly outbox: Outbox;
  readonly policy: ClosingPolicy & { readonly liveFirst: boolean };
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
  /** New shipments are in the outbox. */
  readonly onStaged: () => void;
}

type Staged = Awaited<ReturnType<EdgeLog['stage']>>;

export class Pump {
  readonly #options: PumpOptions;
  readonly #wakeup: Wakeup;
  readonly #shipmentSeqs: Map<string, number>;
  readonly #live: LaneReader;
  readonly #backlog: LaneReader;
  /** Of the backlog; what the log holds, and what was jumped over since. */
  #ranges: readonly LogRange[];
  #isAtEnd = false;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
    const { nextSeq, backlog } = options.log.opened;
    this.#live = new LaneReader(liveLane, nextSeq);
    this.#ranges = backlog;
    this.#backlog = new LaneReader(backlogLane, backlog[0]?.firstSeq ?? nextSeq);
    this.#shipmentSeqs = new Map(options.log.opened.nextShipmentSeqs.map((lane) => [wayOf(lane), lane.seq]));
  }

  /** There may be more to read, or more room in the outbox. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** The first message that is in no shipment yet. */
  get nextSeq(): number {
    return this.#ranges[0]?.firstSeq ?? this.#live.unstagedSeq;
  }

  /** Messages that were jumped over, and are in no shipment yet. */
  get backlogMessages(): number {
    return countMessages(this.#ranges);
  }

  /** Messages that are in no shipment yet, of a log that ends at `endSeq`. */
  waitingMessages(endSeq: number): number {
    return this.backlogMessages + endSeq - this.#live.unstagedSeq;
  }

  /** The last look at the log found nothing new, and nothing is left of the backlog. */
  get isAtEnd(): boolean {
    return this.#isAtEnd && this.#ranges.length === 0;
  }

  /** Runs until `signal` aborts. The open window is let go then: it is in the log. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#step(signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
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
    if ((await this.#stepLive()) || (await this.#stepBacklog())) return;
    const { policy, clock, outbox } = this.#options;
    const dueInMs = this.#live.window?.dueInMs(clock.monotonicMs(), policy);
    // What is due waits for room, which wakes; or becomes old enough to be jumped over. It may have become due just now.
    const waitsForRoom = dueInMs === 0 && !outbox.hasRoom(liveLane, policy);
    await this.#wakeup.wait(signal, waitsForRoom ? staleMsOf(policy.everyMs) : dueInMs);
  }

  /** False when there is nothing to do. */
  async #stepLive(): Promise<boolean> {
    const { log, policy, clock, outbox, router } = this.#options;
    const { window, nextSeq } = this.#live;
    const isFull = window?.isFull(policy) ?? false;
    if (this.#shouldJump(isFull)) {
      await this.#jump();
      return true;
    }
    if (window?.dueInMs(clock.monotonicMs(), policy) === 0 && outbox.hasRoom(liveLane, policy)) {
      await this.#close(this.#live, window);
      return true;
    }
    const blocks = isFull ? [] : await log.read(nextSeq, readBytesMax);
    this.#isAtEnd = !isFull && blocks.length === 0;
    if (blocks.length > 0) this.#live.take(blocks, router, clock.monotonicMs());
    return blocks.length > 0;
  }

  #shouldJump(isWindowFull: boolean): boolean {
    const { everyMs, liveFirst } = this.#options.policy;
    const { arrivedMs } = this.#live;
    const nowMs = this.#options.clock.nowMs();
    return planJump({ liveFirst, everyMs, isWindowFull, arrivedMs, nowMs, rangeCount: this.#ranges.length });
  }

  /** Becomes durable with the next shipment of either lane; killed before it, the jump is made again. */
  async #jump(): Promise<void> {
    const { log, logger } = this.#options;
    const firstSeq = this.#live.unstagedSeq;
    const { endSeq } = await log.sizes();
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
    const { log, policy, clock, outbox, router } = this.#options;
    const [range] = this.#ranges;
    if (!range) return false;
    const { window, nextSeq } = this.#backlog;
    if (window && (window.isFull(policy) || nextSeq >= range.endSeq)) {
      if (!outbox.hasRoom(backlogLane, policy)) return false;
      await this.#close(this.#backlog, window);
      return true;
    }
    const blocks = await log.read(nextSeq, readBytesMax);
    const nowMs = clock.monotonicMs();
    if (blocks.length > 0) this.#backlog.take(blocks, router, nowMs, range.endSeq);
    else this.#backlog.passTo(range.endSeq, nowMs);
    return true;
  }

  async #close(reader: LaneReader, window: Window): Promise<void> {
    const { outbox, metrics, onStaged } = this.#options;
    const shipments: StagedShipment[] = [];
    let staged: Staged;
    try {
      for (const { stream, batch } of window.batches.values())
        if (batch.rowCount > 0) shipments.push(await this.#encode(reader.lane, window, stream, batch));
      staged = await this.#stage(reader, window, shipments);
    } catch (error) {
      // They would fill a full disk a little more with every try.
      await outbox.discard(shipments);
      throw error;
    }
    const { entries, deadLettersDropped } = staged;
    this.#moveBehind(reader);
    for (const shipment of shipments) this.#shipmentSeqs.set(wayOf(shipment), shipment.seq + 1);
    for (const { table, rowCount } of shipments) metrics.rows.inc({ table }, rowCount);
    metrics.deadLettersDropped.inc(deadLettersDropped);
    this.#reportRefused(window);
    outbox.add(entries);
    onStaged();
  }

  /** The commit point. */
  async #stage(reader: LaneReader, window: Window, shipments: readonly StagedShipment[]): Promise<Staged> {
    const isLive = reader === this.#live;
    return await this.#options.log.stage({
      shipments,
      deadLetters: window.deadLetters,
      nextSeq: isLive ? reader.nextSeq : this.#live.unstagedSeq,
      backlog: isLive ? this.#ranges : advanceRanges(this.#ranges, reader.nextSeq),
    });
  }

  #moveBehind(reader: LaneReader): void {
    reader.closeWindow();
    if (reader === this.#live) return;
    this.#ranges = advanceRanges(this.#ranges, reader.nextSeq);
    const [range] = this.#ranges;
    if (range) reader.goTo(range.firstSeq);
    else this.#options.logger.info('the backlog is in shipments');
  }

  async #encode(
    lane: ShippingLane,
    window: Window,
    stream: StreamConfig,
    batch: TableBatch,
  ): Promise<StagedShipment> {
    const way = { lane, database: stream.database, table: stream.name };
    const seq = this.#shipmentSeqs.get(wayOf(way)) ?? firstShipmentSeq;
    const place = { ...way, seq, firstLogSeq: window.firstSeq, lastLogSeq: window.lastSeq };
    const written = await writeShipment(this.#options, place, batch);
    return { ...place, ...written, stagedMs: this.#options.clock.nowMs() };
  }

  #reportRefused({ deadLetters }: Window): void {
    const { metrics, logger } = this.#options;
    for (const { code } of deadLetters) metrics.deadLetters.inc({ code });
    const [example] = deadLetters;
    if (!example) return;
    const { topic, code, reason } = example;
    logger.warn(
      { messages: deadLetters.length, example: { topic, code, reason } },
      'messages became dead letters',
    );
  }

  /** Nothing of the windows has been staged: they are read again from the log. */
  #startOver(): void {
    this.#live.goTo(this.#live.unstagedSeq);
    this.#backlog.goTo(this.#backlog.unstagedSeq);
  }
}

function wayOf({ lane, database, table }: LaneOfTable): string {
  return `${lane}/${database}/${table}`;
}
