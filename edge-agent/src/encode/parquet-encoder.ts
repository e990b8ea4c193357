/**
 * Batches to durable Parquet files, on a thread that lives only while there is work: what WebAssembly took of a small
 * gateway's memory comes back when it ends.
 */
import { Worker } from 'node:worker_threads';
import type { Clock } from '@varve/common/clock.js';
import { formatShipmentMetadata, type ShipmentMetadata } from '@varve/common/contract/shipment.js';
import type { BatchColumns } from '../batch/table-batch.js';
import { Wakeup } from '../wakeup.js';
import { WorkerCaller } from '../worker-call.js';

/**
 * Starting the thread costs 0.1 s of a fast core, 1 s of a slow one: not for every shipment of an agent that ships every
 * second, or has a backlog. Keeping it costs 35 MB: not for one that ships every ten.
 */
const keptMs = 3_000;
/** From one table's file of a window to the next. */
const pauseMs = 200;
/** V8 takes three times as much as it can on a large machine, for garbage that it might collect sooner. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

export class ParquetEncoder {
  readonly #clock: Clock;
  readonly #ended: Wakeup;
  #thread: WorkerCaller | undefined;
  #busy = 0;
  #uses = 0;
  #lastEndMs = -Infinity;
  #lastGapMs = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#ended = new Wakeup(clock);
  }

  /** Writes the shipment to `path` and forces it to the disk. Returns its size in bytes. Takes over the columns' buffers. */
  async encode(columns: BatchColumns, metadata: ShipmentMetadata, path: string): Promise<number> {
    this.#thread ??= new WorkerCaller(
      new Worker(new URL('./parquet-worker.js', import.meta.url), { resourceLimits }),
    );
    const gapMs = this.#clock.monotonicMs() - this.#lastEndMs;
    if (gapMs > pauseMs) this.#lastGapMs = gapMs;
    this.#uses++;
    this.#busy++;
    try {
      // Formatted here: its module brings zod along, which the encoder's thread would load anew every time.
      const keyValues = formatShipmentMetadata(metadata);
      return (await this.#thread.call('encode', [columns, keyValues, path], buffersOf(columns))) as number;
    } finally {
      this.#busy--;
      this.#lastEndMs = this.#clock.monotonicMs();
      this.#ended.wake();
    }
  }

  /** Ends the thread when it has been idle for long enough, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#ended.wait(signal);
      const usesBefore = this.#uses;
      await this.#clock.sleep(planIdleMs(this.#lastGapMs), signal);
      if (this.#uses === usesBefore && this.#busy === 0) await this.close();
    }
  }

  async close(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.terminate();
  }
}

/** How long the thread may be idle, when it had been so for `lastGapMs` before: kept only where that would have served. */
export function planIdleMs(lastGapMs: number): number {
  return lastGapMs <= keptMs ? keptMs : pauseMs;
}

function buffersOf({ timeUs, tags, fields }: BatchColumns): ArrayBuffer[] {
  const columns = [...tags, ...fields];
  return [
    timeUs.buffer,
    ...columns.flatMap(({ values, validity, longs }) =>
      longs ? [values.buffer, validity.buffer, longs.buffer] : [values.buffer, validity.buffer],
    ),
  ];
}
