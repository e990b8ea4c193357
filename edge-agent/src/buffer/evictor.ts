/**
 * Drops messages that are in no shipment and in no open window, a bounded step at a time.
 *
 * 1. The lowest priority goes first: from the oldest block to the newest, messages of that priority are taken out of them. 2.
 * When a priority has been swept to the end of the log, the next has its turn. 3. Of the highest, whole blocks go, the
 * oldest first. How far each priority has been swept is kept in memory only: after a restart the sweep begins anew, and
 * finds less to do.
 */
import type { Clock } from '@varve/common/clock.js';
import type { EdgeLog, EvictRequest, LogRange, StoredBlock } from '../log/edge-log.js';
import type { EdgeMetrics } from '../metrics.js';
import type { Pump } from '../ship/pump.js';
import { olderBlocks, planEviction } from './plan-eviction.js';
import type { StreamRanks } from './stream-ranks.js';

export interface EvictorOptions {
  readonly log: Pick<EdgeLog, 'read' | 'evict'>;
  readonly pump: Pick<Pump, 'whileNotReading' | 'noteLosses'>;
  readonly ranks: StreamRanks;
  /** Of blocks, unpacked, in one step. */
  readonly stepBytes: number;
  readonly clock: Clock;
  readonly metrics: Pick<EdgeMetrics, 'losses'>;
}

export class Evictor {
  readonly #options: EvictorOptions;
  /** By priority: below this number nothing of it is left. */
  readonly #sweptSeqs = new Map<number, number>();

  constructor(options: EvictorOptions) {
    this.#options = options;
  }

  /** Drops some of what matters least. False when nothing is left to drop. */
  async dropLowest(reason: string): Promise<boolean> {
    const { ranks } = this.#options;
    const highest = ranks.priorities.at(-1);
    for (const priority of ranks.priorities) {
      const isHighest = priority === highest;
      let found: 'dropped' | 'nothing here' | 'end';
      do found = await this.#sweep(priority, isHighest, reason);
      while (found === 'nothing here');
      if (found === 'dropped') return true;
    }
    return false;
  }

  /** Drops some of what arrived before `beforeMs`, whatever its priority. False when nothing is left to drop. */
  async dropOlder(beforeMs: number, reason: string): Promise<boolean> {
    const rule = this.#rule(Number.POSITIVE_INFINITY, reason);
    return await this.#options.pump.whileNotReading(async (waiting) => {
      const blocks = await this.#read(0, waiting);
      return await this.#evict(planEviction(olderBlocks(blocks, beforeMs), rule));
    });
  }

  async #sweep(priority: number, isHighest: boolean, reason: string) {
    return await this.#options.pump.whileNotReading(async (waiting) => {
      const blocks = await this.#read(isHighest ? 0 : (this.#sweptSeqs.get(priority) ?? 0), waiting);
      const last = blocks.at(-1);
      if (!last) return 'end';
      const isDropped = await this.#evict(planEviction(blocks, this.#rule(priority, reason)));
      this.#sweptSeqs.set(priority, last.firstSeq + last.messageCount);
      return isDropped ? 'dropped' : 'nothing here';
    });
  }

  /** Blocks from `fromSeq` on that lie in one of the ranges altogether: others are in a shipment or a window in part. */
  async #read(fromSeq: number, waiting: readonly LogRange[]): Promise<StoredBlock[]> {
    const { log, stepBytes } = this.#options;
    for (const { firstSeq, endSeq } of waiting) {
      if (endSeq <= fromSeq) continue;
      const blocks = await log.read(Math.max(fromSeq, firstSeq), stepBytes);
      const begun = blocks.findIndex((block) => block.firstSeq >= Math.max(fromSeq, firstSeq));
      const whole = begun === -1 ? [] : blocks.slice(begun);
      const inside = whole.filter((block) => block.firstSeq + block.messageCount <= endSeq);
      if (inside.length > 0) return inside;
      const last = blocks.at(-1);
      // A block that begins before the range was all that came.
      if (last && begun === -1) return this.#read(last.firstSeq + last.messageCount, waiting);
    }
    return [];
  }

  async #evict(request: EvictRequest): Promise<boolean> {
    if (request.blocks.length === 0) return false;
    const { log, pump, metrics } = this.#options;
    await log.evict(request);
    for (const { kind, count } of request.losses) metrics.losses.inc({ kind }, count);
    pump.noteLosses();
    return true;
  }

  #rule(priorityMax: number, reason: string) {
    const { ranks, clock } = this.#options;
    return { priorityMax, reason, whenMs: clock.nowMs(), rankOf: (topic: string) => ranks.rankOf(topic) };
  }
}
