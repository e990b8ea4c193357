/**
 * The pump: reads the log from the position on, fills the window, and closes it into shipments.
 *
 * 1. Read blocks and decode them into the window, while it has room. 2. When the window is due – `ship.every` since its
 * first message, or `ship.max_rows`, or `ship.max_bytes` – and the outbox has room: encode each table's batch into a file, durably. 3. In one
 * transaction take the shipments' numbers, record the dead letters, and move the position behind the window: this is the
 * commit point. Killed before it, the next start reads the same messages again, and removes the files. Rows of the loss
 * ledger go with the window that closes next, as one more table; without messages they make a window of their own.
 */
import type { Clock } from '@varve/common/clock.js';
import { firstSeq as firstShipmentSeq } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { TableBatch } from '../batch/table-batch.js';
import type { StreamConfig } from '../config.js';
import type { Router } from '../decode/router.js';
import type { ParquetEncoder } from '../encode/parquet-encoder.js';
import { readBlock } from '../log/block.js';
import type { EdgeLog, LaneOfTable, Staged, StagedShipment, StoredBlock } from '../log/edge-log.js';
import type { EdgeMetrics } from '../metrics.js';
import { Turns } from '../turns.js';
import { Wakeup } from '../wakeup.js';
import { lossesBatch, lossesDestination } from './losses-batch.js';
import type { Outbox } from './outbox.js';
import { Window, type ClosingPolicy } from './window.js';
import { writeShipment } from './write-shipment.js';

/** One read of the log: small enough to decode between two packets of the network. */
const readBytesMax = 256_000;
const retryMs = 5_000;
/** All rows go this way until a backlog gets a lane of its own. */
const liveLane = 'live';

export interface PumpOptions {
  readonly agent: string;
  readonly log: Pick<EdgeLog, 'opened' | 'read' | 'stage' | 'waitingLosses'>;
  readonly router: Router;
  readonly encoder: Pick<ParquetEncoder, 'encode'>;
  readonly outbox: Outbox;
  readonly policy: ClosingPolicy;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
  /** New shipments are in the outbox, made of so many bytes of the log. */
  readonly onStaged: (logBytes: number) => void;
  /** False while as much of the log is in shipments as may be. */
  readonly mayStage: () => boolean;
  readonly onDiskFull: (message: string) => void;
}

type Destination = Pick<StreamConfig, 'database' | 'name'>;

export class Pump {
  readonly #options: PumpOptions;
  readonly #wakeup: Wakeup;
  readonly #shipmentSeqs: Map<string, number>;
  readonly #reading = new Turns();
  #nextSeq: number;
  #window: Window | undefined;
  #isAtEnd = false;
  #hasLosses: boolean;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
    this.#nextSeq = options.log.opened.nextSeq;
    this.#hasLosses = options.log.opened.waitingLosses > 0;
    this.#shipmentSeqs = new Map(options.log.opened.nextShipmentSeqs.map((lane) => [wayOf(lane), lane.seq]));
  }

  /** There may be more to read, or more room in the outbox. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** There are new rows in the loss ledger. */
  noteLosses(): void {
    this.#hasLosses = true;
    this.wake();
  }

  /** Runs `work` while nothing is read from the log: messages from `fromSeq` on are in no window meanwhile. */
  whileNotReading<T>(work: (fromSeq: number) => Promise<T>): Promise<T> {
    return this.#reading.run(() => work(this.#nextSeq));
  }

  /** The first message that is in no shipment yet. */
  get nextSeq(): number {
    return this.#window?.firstSeq ?? this.#nextSeq;
  }

  /** What has not been read yet: it is in no shipment and in no window. */
  get readSeq(): number {
    return this.#nextSeq;
  }

  /** The last look at the log found nothing new. */
  get isAtEnd(): boolean {
    return this.#isAtEnd;
  }

  /** Runs until `signal` aborts. The open window is let go then: it is in the log. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#step(signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        if (isFailure(error, 'disk_full')) this.#options.onDiskFull(error.message);
        this.#options.logger.error(
          { err: error, hint: error.hint },
          'no shipments can be made; trying again',
        );
        this.#startOver();
        await this.#options.clock.sleep(retryMs, signal);
      }
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { policy, clock, outbox, mayStage } = this.#options;
    const dueInMs = this.#window?.dueInMs(clock.monotonicMs(), policy);
    const hasRoom = !outbox.isFull && mayStage();
    if (this.#window && dueInMs === 0 && hasRoom) {
      await this.#close(this.#window);
      return;
    }
    // A window that waits for room takes no more: what is not in it can still be dropped.
    const isFull = dueInMs === 0;
    const isRead = !isFull && (await this.#reading.run(() => this.#read()));
    this.#isAtEnd = !isFull && !isRead;
    if (isRead) return;
    if (!this.#window && this.#hasLosses) this.#window = new Window(clock.monotonicMs(), this.#nextSeq);
    // With the outbox full, only its emptying helps, and that wakes.
    else await this.#wakeup.wait(signal, hasRoom ? dueInMs : undefined);
  }

  async #read(): Promise<boolean> {
    const blocks = await this.#options.log.read(this.#nextSeq, readBytesMax);
    for (const block of blocks) this.#take(block);
    return blocks.length > 0;
  }

  #take({ firstSeq, source, bytes }: StoredBlock): void {
    const { clock, router } = this.#options;
    this.#window ??= new Window(clock.monotonicMs(), this.#nextSeq);
    let seq = firstSeq;
    for (const { topic, payload, arrivedMs, packetId } of readBlock(bytes)) {
      // The position may lie inside a block. Member by member: a spread costs as much as decoding the message.
      if (seq >= this.#nextSeq)
        this.#window.take({ topic, payload, arrivedMs, packetId, seq, source }, router);
      seq++;
    }
    this.#nextSeq = Math.max(this.#nextSeq, seq);
  }

  async #close(window: Window): Promise<void> {
    const { agent, log, outbox, metrics, onStaged } = this.#options;
    const shipments: StagedShipment[] = [];
    const losses = this.#hasLosses ? await log.waitingLosses() : [];
    let staged: Staged;
    try {
      for (const { stream, batch } of window.batches.values())
        if (batch.rowCount > 0) shipments.push(await this.#encode(window, stream, batch));
      if (losses.length > 0)
        shipments.push(await this.#encode(window, lossesDestination, lossesBatch(agent, losses)));
      staged = await this.#stage(window, shipments, losses.at(-1)?.id);
    } catch (error) {
      // They would fill a full disk a little more with every try.
      await outbox.discard(shipments);
      throw error;
    }
    this.#window = undefined;
    this.#nextSeq = Math.max(this.#nextSeq, staged.nextSeq);
    this.#hasLosses = staged.waitingLosses > 0;
    for (const shipment of shipments) this.#shipmentSeqs.set(wayOf(shipment), shipment.seq + 1);
    for (const { table, rowCount } of shipments) metrics.rows.inc({ table }, rowCount);
    this.#reportRefused(window, staged);
    outbox.add(staged.entries);
    onStaged(window.logBytes);
  }

  /** The commit point. `lastLossId`: of the ledger rows in the last shipment. */
  async #stage(
    window: Window,
    shipments: readonly StagedShipment[],
    lastLossId: number | undefined,
  ): Promise<Staged> {
    return await this.#options.log.stage({
      shipments,
      deadLetters: window.deadLetters,
      nextSeq: window.lastSeq + 1,
      nowMs: this.#options.clock.nowMs(),
      ...(lastLossId !== undefined && { lastLossId }),
    });
  }

  async #encode(window: Window, destination: Destination, batch: TableBatch): Promise<StagedShipment> {
    const way = { lane: liveLane, database: destination.database, table: destination.name };
    const seq = this.#shipmentSeqs.get(wayOf(way)) ?? firstShipmentSeq;
    const place = { ...way, seq, firstLogSeq: window.firstSeq, lastLogSeq: window.lastSeq };
    const written = await writeShipment(this.#options, place, batch);
    return { ...place, ...written, stagedMs: this.#options.clock.nowMs() };
  }

  #reportRefused({ deadLetters }: Window, { deadLettersDropped }: Staged): void {
    const { metrics, logger } = this.#options;
    metrics.deadLettersDropped.inc(deadLettersDropped);
    metrics.losses.inc({ kind: 'dead_letter' }, deadLetters.length);
    metrics.losses.inc({ kind: 'dead_letters_dropped' }, deadLettersDropped);
    for (const { code } of deadLetters) metrics.deadLetters.inc({ code });
    const [example] = deadLetters;
    if (!example) return;
    const { topic, code, reason } = example;
    logger.warn(
      { messages: deadLetters.length, example: { topic, code, reason } },
      'messages became dead letters',
    );
  }

  /** Nothing of the window has been staged: it is read again from the log. */
  #startOver(): void {
    this.#nextSeq = this.#window?.firstSeq ?? this.#nextSeq;
    this.#window = undefined;
  }
}

function wayOf({ lane, database, table }: LaneOfTable): string {
  return `${lane}/${database}/${table}`;
}
