/**
 * Closes a window: encodes each table's batch into a file of the outbox, durably, and stages them in one transaction, which
 * is the commit point. Killed before it, the next start reads the same messages again, and removes the files.
 *
 * Rows of the loss ledger go with a window of the live lane, as one more table.
 */
import type { Clock } from '@varve/common/clock.js';
import { firstSeq as firstShipmentSeq } from '@varve/common/contract/object-keys.js';
import type { Logger } from '@varve/common/log.js';
import type { Aggregation, AggregateOutput, AggregationPlan } from '../aggregate/aggregation.js';
import type { BatchColumns } from '../batch/table-batch.js';
import type { ArrivalGate } from '../clock-trust/clock-watch.js';
import type { ParquetEncoder } from '../encode/parquet-encoder.js';
import type { EdgeLog, LaneOfTable, LogRange, Staged, StagedShipment } from '../log/edge-log.js';
import type { EdgeMetrics } from '../metrics.js';
import { ToldClocks } from './arrival-notes.js';
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
  readonly aggregation: Pick<Aggregation, 'plan' | 'nextDueMs' | 'isDropped'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
  /** Absent: nothing waits for the clock. */
  readonly arrivals?: ArrivalGate;
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
  readonly #toldClocks = new ToldClocks();
  #hasLosses: boolean;

  constructor(options: StagerOptions) {
    this.#options = options;
    const { nextShipmentSeqs, waitingLosses } = options.log.opened;
    this.#shipmentSeqs = new Map(nextShipmentSeqs.map((lane) => [wayOf(lane), lane.seq]));
    this.#hasLosses = waitingLosses > 0;
  }

  /** When there is something to ship though no message comes, in ms: rows of the loss ledger, windows of aggregates. */
  get dueInMs(): number | undefined {
    const { aggregation, clock } = this.#options;
    if (this.#hasLosses) return 0;
    const dueMs = aggregation.nextDueMs;
    return dueMs === undefined ? undefined : Math.max(0, dueMs - clock.nowMs());
  }

  noteLosses(): void {
    this.#hasLosses = true;
  }

  /** @throws Failure of the disk, of the log; the window's messages are in no shipment then */
  async stage(lane: ShippingLane, window: Window, after: PositionAfter): Promise<Staged> {
    const { log, outbox, clock, metrics, arrivals } = this.#options;
    const shipments: StagedShipment[] = [];
    const nowMs = clock.nowMs();
    const notes = window.arrivalNotes.all();
    const losses = this.#toldClocks.lossesOf(notes, nowMs);
    const { agent, aggregation } = this.#options;
    const aggregates = aggregation.plan(lane, window, `${agent}/${log.opened.epoch}`, nowMs);
    let staged: Staged;
    try {
      const lastLossId = await this.#encodeAll(lane, window, aggregates, shipments);
      const { deadLetters } = window;
      staged = await log.stage({
        ...{ shipments, deadLetters, losses, ...after, nowMs, trustedMs: arrivals?.trustedNowMs() },
        ...(aggregates.state && { aggregates: aggregates.state }),
        ...(lastLossId !== undefined && { lastLossId }),
      });
    } catch (error) {
      // They would fill a full disk a little more with every try.
      await outbox.discard(shipments);
      throw error;
    }
    aggregates.accept();
    this.#hasLosses = staged.waitingLosses > 0;
    this.#toldClocks.note(notes);
    for (const { kind, count } of losses) metrics.losses.inc({ kind }, count);
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
    aggregates: AggregationPlan,
    shipments: StagedShipment[],
  ): Promise<number | undefined> {
    const { agent, aggregation, log } = this.#options;
    for (const open of window.batches.values())
      if (open.batch.rowCount > 0 && !aggregation.isDropped(open))
        shipments.push(await this.#encode(lane, window, open, open.batch.finish()));
    for (const output of aggregates.outputs)
      shipments.push(await this.#encode(lane, window, output, output.columns, output));
    const losses = this.#hasLosses && lane === liveLane ? await log.waitingLosses() : [];
    if (losses.length > 0)
      shipments.push(
        await this.#encode(lane, window, lossesDestination, lossesBatch(agent, losses).finish()),
      );
    return losses.at(-1)?.id;
  }

  async #encode(
    lane: ShippingLane,
    { firstSeq, lastSeq }: Window,
    destination: Destination,
    columns: BatchColumns,
    aggregate?: Pick<AggregateOutput, 'facts' | 'recipe'>,
  ): Promise<StagedShipment> {
    const way = { lane, database: destination.database, table: destination.table };
    const seq = this.#shipmentSeqs.get(wayOf(way)) ?? firstShipmentSeq;
    const recipe = aggregate?.recipe;
    // Blocks stay until everything that is made of them is confirmed.
    const firstLogSeq = Math.min(firstSeq, ...(recipe?.openRanges ?? []).map((range) => range.firstSeq));
    const place = { ...way, seq, firstLogSeq, lastLogSeq: lastSeq };
    const written = await writeShipment(this.#options, place, columns, { aggregate: aggregate?.facts });
    return { ...place, ...written, stagedMs: this.#options.clock.nowMs(), ...(recipe && { recipe }) };
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
