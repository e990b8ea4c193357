/**
 * Memory that DuckDB takes beside its limit: `median`, `mode`, quantiles and histograms keep every value in it, and texts and lists on
 * their way are in it. So the process as a whole is looked at while queries run.
 *
 * 1. Where it has grown by more than `growthBytesMax` since the last time when no query ran, one query is ended: the one that has run
 *    longest of those that have sent nothing yet.
 * 2. What is there when that one is over is the new start: memory that the system does not get back at once ends no other query.
 * 3. Where the machine has little left, 256 MB of growth are enough.
 *
 * DuckDB is interrupted between two chunks of rows, so that it overshoots by what half a second adds.
 */
import type { Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';

export interface ProcessMemory {
  readonly residentBytes: () => number;
  /** Of the machine, or of the container where that has less. */
  readonly machineBytes: number;
}

export interface MemoryWatchOptions {
  readonly memory: ProcessMemory;
  readonly growthBytesMax: number;
  readonly clock: Clock;
  /** Ends the query to blame. @returns when it is over, or has not been for a while */
  readonly endOne: (failure: Failure) => Promise<void>;
}

const lookEveryMs = 50;
const tightShare = 0.75;
const tightGrowthBytesMax = 256e6;

export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  #inside = 0;
  #isLooking = false;
  /** Undefined while no query runs, and until the first look after that. */
  #startBytes: number | undefined;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
  }

  /** A query begins. @returns what to call when it is over */
  enter(): () => void {
    this.#inside += 1;
    if (!this.#isLooking) void this.#look();
    return () => {
      this.#inside -= 1;
      if (this.#inside === 0) this.#startBytes = undefined;
    };
  }

  /** Queries that are over before the first look cost a timer, all together. */
  async #look(): Promise<void> {
    const { clock } = this.#options;
    this.#isLooking = true;
    do {
      await clock.sleep(lookEveryMs);
      if (this.#inside > 0) await this.#lookOnce();
    } while (this.#inside > 0);
    this.#isLooking = false;
  }

  async #lookOnce(): Promise<void> {
    const { memory, endOne } = this.#options;
    const bytes = memory.residentBytes();
    this.#startBytes ??= bytes;
    const growth = bytes - this.#startBytes;
    if (growth <= this.#growthBytesMax(bytes)) return;
    await endOne(needsTooMuch(growth));
    this.#startBytes = undefined;
  }

  #growthBytesMax(bytes: number): number {
    const { memory, growthBytesMax } = this.#options;
    const isTight = bytes > tightShare * memory.machineBytes;
    return isTight ? Math.min(tightGrowthBytesMax, growthBytesMax) : growthBytesMax;
  }
}

function needsTooMuch(growthBytes: number): Failure {
  const megabytes = Math.round(growthBytes / 1e6);
  return new Failure(
    'memory_limit_exceeded',
    `the query needs more memory than it may use: the server took ${megabytes} MB more`,
    {
      hint: 'median, mode, quantiles and histograms keep every value: take approx_quantile, ask for a shorter time, or raise cache.memory',
    },
  );
}
