/**
 * Batches to durable Parquet files, on a thread that lives only while there is work: what WebAssembly took of a small
 * gateway's memory comes back when it ends.
 */
import { Worker } from 'node:worker_threads';
import type { Clock } from '@varve/common/clock.js';
import type { ShipmentMetadata } from '@varve/common/contract/shipment.js';
import type { BatchColumns } from '../batch/table-batch.js';
import { WorkerCaller } from '../worker-call.js';

/**
 * Starting the thread costs 0.1 s of a fast core, 1 s of a slow one: not for every shipment of an agent that ships every
 * second. Keeping it costs 40 MB: not for one that ships every ten.
 */
const idleMs = 3_000;
/** V8 takes three times as much as it can on a large machine, for garbage that it might collect sooner. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

export class ParquetEncoder {
  readonly #clock: Clock;
  #thread: WorkerCaller | undefined;
  #busy = 0;
  #uses = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Writes the shipment to `path` and forces it to the disk. Returns its size in bytes. Takes over the columns' buffers. */
  async encode(columns: BatchColumns, metadata: ShipmentMetadata, path: string): Promise<number> {
    this.#thread ??= new WorkerCaller(
      new Worker(new URL('./parquet-worker.js', import.meta.url), { resourceLimits }),
    );
    this.#uses++;
    this.#busy++;
    try {
      return (await this.#thread.call('encode', [columns, metadata, path], buffersOf(columns))) as number;
    } finally {
      this.#busy--;
    }
  }

  /** Ends the thread whenever it has been idle for a while, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const usesBefore = this.#uses;
      await this.#clock.sleep(idleMs, signal);
      if (this.#uses === usesBefore && this.#busy === 0) await this.close();
    }
  }

  async close(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.terminate();
  }
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
