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
import type { Reduction, ReductionPlan } from '../reduce/reduction.js';
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
  readonly reduction: Pick<Reduction, 'plan' | 'nextDueMs'>;
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

interface ShipmentMaking {
  readonly facts?: AggregateOutput['facts'];
  readonly recipe?: StagedShipment['recipe'];
}

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

  /** When there is something to ship though no message comes, in ms: rows of the loss ledger, windows of aggregates, rows held. */
  get dueInMs(): number | undefined {
    const { aggregation, reduction, clock } = this.#options;
    if (this.#hasLosses) return 0;
    const dueMs = Math.min(aggregation.nextDueMs ?? Infinity, reduction.nextDueMs ?? Infinity);
    return dueMs === Infinity ? undefined : Math.max(0, dueMs - clock.nowMs());
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
    const { agent, aggregation } = this.#options;
    const aggregates = aggregation.plan(lane, window, `${agent}/${log.opened.epoch}`, nowMs);
    const reduced = this.#options.reduction.plan(lane, window, after.nextSeq, nowMs);
    const losses = [...this.#toldClocks.lossesOf(notes, nowMs), ...reduced.losses];
    let staged: Staged;
    try {
      const lastLossId = await this.#encodeAll(lane, window, aggregates, reduced, shipments);
      const { deadLetters } = window;
      staged = await log.stage({
        ...{ shipments, deadLetters, losses, ...after, nowMs, trustedMs: arrivals?.trustedNowMs() },
        ...(aggregates.state && { aggregates: aggregates.state }),
        ...(reduced.changes && { reduction: reduced.changes }),
        ...(lastLossId !== undefined && { lastLossId }),
      });
    } catch (error) {
      // They would fill a full disk a little more with every try.
      await outbox.discard(shipments);
      throw error;
    }
    aggregates.accept();
    reduced.accept();
    this.#countReduced(reduced);
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
    { batches: reduced }: ReductionPlan,
    shipments: StagedShipment[],
  ): Promise<number | undefined> {
    const { agent, aggregation, log } = this.#options;
    for (const open of window.batches.values())
      if (open.batch.rowCount > 0 && !aggregation.isDropped(open) && !reduced.has(keyOf(open)))
        shipments.push(await this.#encode(lane, window, open, open.batch.finish()));
    for (const batch of reduced.values())
      if (batch.columns.rowCount > 0)
        shipments.push(await this.#encode(lane, window, batch, batch.columns, { recipe: batch.recipe }));
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
    { facts, recipe }: ShipmentMaking = {},
  ): Promise<StagedShipment> {
    const way = { lane, database: destination.database, table: destination.table };
    const seq = this.#shipmentSeqs.get(wayOf(way)) ?? firstShipmentSeq;
    // Blocks stay until everything that is made of them is confirmed.
    const openRanges = recipe && 'part' in recipe ? recipe.openRanges : [];
    const firstLogSeq = Math.min(firstSeq, ...openRanges.map((range) => range.firstSeq));
    const place = { ...way, seq, firstLogSeq, lastLogSeq: lastSeq };
    const written = await writeShipment(this.#options, place, columns, { aggregate: facts });
    return { ...place, ...written, stagedMs: this.#options.clock.nowMs(), ...(recipe && { recipe }) };
  }

  #countReduced({ counts }: ReductionPlan): void {
    const { metrics } = this.#options;
    for (const { table, leftOut, unjudged } of counts) {
      metrics.rowsLeftOut.inc({ table }, Math.max(0, leftOut));
      metrics.rowsUnjudged.inc({ table }, unjudged);
    }
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

function keyOf({ database, table }: Destination): string {
  return `${database}.${table}`;
}

function wayOf({ lane, database, table }: LaneOfTable): string {
  return `${lane}/${database}/${table}`;
}
