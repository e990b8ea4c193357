/**
 * The pump: reads the log from the position on, fills the window, and closes it into shipments.
 *
 * 1. Read blocks and decode them into the window, while it has room. 2. When the window is due – `ship.every` since its
 * first message, or `ship.max_rows`, or `ship.max_bytes` – and the outbox has room: encode each table's batch into a file, durably. 3. In one
 * transaction take the shipments' numbers, record the dead letters, and move the position behind the window: this is the
 * commit point. Killed before it, the next start reads the same messages again, and removes the files.
 */
import type { Clock } from '@varve/common/clock.js';
import { firstSeq as firstShipmentSeq } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { TableBatch } from '../batch/table-batch.js';
import type { StreamConfig } from '../config.js';
import type { Router } from '../decode/router.js';
import type { ParquetEncoder } from '../encode/parquet-encoder.js';
import { readBlock } from '../log/block.js';
import type { EdgeLog, LaneOfTable, StagedShipment, StoredBlock } from '../log/edge-log.js';
import type { EdgeMetrics } from '../metrics.js';
import { Wakeup } from '../wakeup.js';
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
  readonly log: Pick<EdgeLog, 'opened' | 'read' | 'stage'>;
  readonly router: Router;
  readonly encoder: Pick<ParquetEncoder, 'encode'>;
  readonly outbox: Outbox;
  readonly policy: ClosingPolicy;
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
  #nextSeq: number;
  #window: Window | undefined;
  #isAtEnd = false;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
    this.#nextSeq = options.log.opened.nextSeq;
    this.#shipmentSeqs = new Map(options.log.opened.nextShipmentSeqs.map((lane) => [wayOf(lane), lane.seq]));
  }

  /** There may be more to read, or more room in the outbox. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** The first message that is in no shipment yet. */
  get nextSeq(): number {
    return this.#window?.firstSeq ?? this.#nextSeq;
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
    const { log, policy, clock, outbox } = this.#options;
    const dueInMs = this.#window?.dueInMs(clock.monotonicMs(), policy);
    if (this.#window && dueInMs === 0 && !outbox.isFull) {
      await this.#close(this.#window);
      return;
    }
    const isFull = this.#window?.isFull(policy) ?? false;
    const blocks = isFull ? [] : await log.read(this.#nextSeq, readBytesMax);
    this.#isAtEnd = !isFull && blocks.length === 0;
    if (blocks.length > 0) for (const block of blocks) this.#take(block);
    // With the outbox full, only its emptying helps, and that wakes.
    else await this.#wakeup.wait(signal, outbox.isFull ? undefined : dueInMs);
  }

  #take({ firstSeq, source, bytes }: StoredBlock): void {
    const { clock, router } = this.#options;
    this.#window ??= new Window(clock.monotonicMs(), this.#nextSeq);
    let seq = firstSeq;
    for (const message of readBlock(bytes)) {
      // The position may lie inside a block.
      if (seq >= this.#nextSeq) this.#window.take({ ...message, seq, source }, router);
      seq++;
    }
    this.#nextSeq = Math.max(this.#nextSeq, seq);
  }

  async #close(window: Window): Promise<void> {
    const { outbox, metrics, onStaged } = this.#options;
    const shipments: StagedShipment[] = [];
    let staged: Staged;
    try {
      for (const { stream, batch } of window.batches.values())
        if (batch.rowCount > 0) shipments.push(await this.#encode(window, stream, batch));
      staged = await this.#stage(window, shipments);
    } catch (error) {
      // They would fill a full disk a little more with every try.
      await outbox.discard(shipments);
      throw error;
    }
    const { entries, deadLettersDropped } = staged;
    this.#window = undefined;
    for (const shipment of shipments) this.#shipmentSeqs.set(wayOf(shipment), shipment.seq + 1);
    for (const { table, rowCount } of shipments) metrics.rows.inc({ table }, rowCount);
    metrics.deadLettersDropped.inc(deadLettersDropped);
    this.#reportRefused(window);
    outbox.add(entries);
    onStaged();
  }

  /** The commit point. */
  async #stage(window: Window, shipments: readonly StagedShipment[]): Promise<Staged> {
    return await this.#options.log.stage({
      shipments,
      deadLetters: window.deadLetters,
      nextSeq: window.lastSeq + 1,
    });
  }

  async #encode(window: Window, stream: StreamConfig, batch: TableBatch): Promise<StagedShipment> {
    const way = { lane: liveLane, database: stream.database, table: stream.name };
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

  /** Nothing of the window has been staged: it is read again from the log. */
  #startOver(): void {
    this.#nextSeq = this.#window?.firstSeq ?? this.#nextSeq;
    this.#window = undefined;
  }
}

function wayOf({ lane, database, table }: LaneOfTable): string {
  return `${lane}/${database}/${table}`;
}
