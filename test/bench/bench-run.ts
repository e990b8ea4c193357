/** One run of a bench: what it started is stopped at its end, in the reverse order, whatever happens. */
import type { Owner } from '../processes.js';

export interface BenchOptions {
  /** How often each thing is measured; medians are reported. */
  readonly runs: number;
  /** How long `edge-memory` watches. */
  readonly minutes: number;
  readonly messages: number;
  /** How many come while the store is away in `edge-offline`. */
  readonly offlineMessages: number;
  /** Of `lake-queries`: how much data, how it is stored, how often each question is put, and to whom. */
  readonly days: number;
  readonly scale: number;
  readonly decimals?: number;
  readonly asks: number;
  /** Only those whose names have this in them. */
  readonly questions?: string;
  readonly cold: number;
  /** A folder that stays. */
  readonly lake?: string;
  readonly peers: boolean;
  /** Says how far it is. */
  readonly note: (text: string) => void;
}

export class BenchRun implements Owner {
  #cleanups: (() => Promise<void>)[] = [];

  after(clean: () => Promise<void>): void {
    this.#cleanups.push(clean);
  }

  async end(): Promise<void> {
    const cleanups = this.#cleanups.reverse();
    this.#cleanups = [];
    for (const clean of cleanups) await clean();
  }
}

/** Runs `work` with an owner of its own. */
export async function withOwner<T>(work: (owner: Owner) => Promise<T>): Promise<T> {
  const run = new BenchRun();
  const stop = () => void run.end().finally(() => process.exit(130));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await work(run);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await run.end();
  }
}
