/**
 * Closes a window: encodes each table's batch into a file of the outbox, durably, and stages them in one transaction, which
 * is the commit point. Killed before it, the next start reads the same messages again, and removes the files.
 *
 * Rows of the loss ledger go with a window of the live lane, as one more table.
 */
import type { Clock } from '@varve/common/clock.js';
import { firstSeq as firstShipmentSeq } from '@varve/common/contract/object-keys.js';
import type { Logger } from '@varve/common/log.js';
import type { TableBatch } from '../batch/table-batch.js';
import type { ParquetEncoder } from '../encode/parquet-encoder.js';
import type { EdgeLog, LaneOfTable, LogRange, Staged, StagedShipment } from '../log/edge-log.js';
import type { EdgeMetrics } from '../metrics.js';
import { lossesBatch, lossesDestination } from './losses-batch.js';
import type { Outbox } from './outbox.js';
import { liveLane, type ShippingLane } from './plan-lanes.js';
import type { Window } from './window.js';
import { writeShipment } from './write-shipment.js';

export interface StagerOptions {
  readonly agent: string;
  readonly log: Pick<EdgeLog, 'opened' | 'stage' | 'waitingLosses'>;
  readonly encoder: Pick<ParquetEncoder, 'encode'>;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
}

/** Where the log is read after the window. */
export interface PositionAfter {
  readonly nextSeq: number;
  readonly backlog: readonly LogRange[];
}

type Destination = Pick<LaneOfTable, 'database' | 'table'>;

export class Stager {
  readonly #options: StagerOptions;
  readonly #shipmentSeqs: Map<string, number>;
  #hasLosses: boolean;

  constructor(options: StagerOptions) {
    this.#options = options;
    const { nextShipmentSeqs, waitingLosses } = options.log.opened;
    this.#shipmentSeqs = new Map(nextShipmentSeqs.map((lane) => [wayOf(lane), lane.seq]));
    this.#hasLosses = waitingLosses > 0;
  }

  /** Rows of the loss ledger wait for the next window. */
  get hasLosses(): boolean {
    return this.#hasLosses;
  }

  noteLosses(): void {
    this.#hasLosses = true;
  }

  /** @throws Failure of the disk, of the log; the window's messages are in no shipment then */
  async stage(lane: ShippingLane, window: Window, after: PositionAfter): Promise<Staged> {
    const { log, outbox, clock, metrics } = this.#options;
    const shipments: StagedShipment[] = [];
    let staged: Staged;
    try {
      const lastLossId = await this.#encodeAll(lane, window, shipments);
      const { deadLetters } = window;
      const nowMs = clock.nowMs();
      staged = await log.stage({
        ...{ shipments, deadLetters, ...after, nowMs },
        ...(lastLossId !== undefined && { lastLossId }),
      });
    } catch (error) {
      // They would fill a full disk a little more with every try.
      await outbox.discard(shipments);
      throw error;
    }
    this.#hasLosses = staged.waitingLosses > 0;
    for (const shipment of shipments) this.#shipmentSeqs.set(wayOf(shipment), shipment.seq + 1);
    for (const { table, rowCount } of shipments) metrics.rows.inc({ table }, rowCount);
    this.#reportRefused(window, staged);
    outbox.add(staged.entries);
    return staged;
  }

  /** Returns the last ledger row that is in the last of the shipments, if one is. */
  async #encodeAll(
    lane: ShippingLane,
    window: Window,
    shipments: StagedShipment[],
  ): Promise<number | undefined> {
    const { agent, log } = this.#options;
    for (const open of window.batches.values())
      if (open.batch.rowCount > 0) shipments.push(await this.#encode(lane, window, open, open.batch));
    const losses = this.#hasLosses && lane === liveLane ? await log.waitingLosses() : [];
    if (losses.length > 0)
      shipments.push(await this.#encode(lane, window, lossesDestination, lossesBatch(agent, losses)));
    return losses.at(-1)?.id;
  }

  async #encode(
    lane: ShippingLane,
    { firstSeq, lastSeq }: Window,
    destination: Destination,
    batch: TableBatch,
  ): Promise<StagedShipment> {
    const way = { lane, database: destination.database, table: destination.table };
    const seq = this.#shipmentSeqs.get(wayOf(way)) ?? firstShipmentSeq;
    const place = { ...way, seq, firstLogSeq: firstSeq, lastLogSeq: lastSeq };
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
}

function wayOf({ lane, database, table }: LaneOfTable): string {
  return `${lane}/${database}/${table}`;
}
