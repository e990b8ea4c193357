/**
 * Lanes that wait for a missing shipment, since when. Each is logged when it begins and when it ends, not in between.
 */
import type { Clock } from '@varve/common/clock.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import type { Logger } from '@varve/common/log.js';
import { formatTableName } from '../delta/table-metadata.js';
import type { LaneGap } from './plan-ingest.js';

export interface WatchedGap extends LaneGap {
  readonly sinceMs: number;
}

export class GapWatch {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #gapsByTable = new Map<string, readonly WatchedGap[]>();

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  current(): readonly WatchedGap[] {
    return [...this.#gapsByTable.values()].flat();
  }

  /** `gaps` are all of the table's, as its last plan saw them. */
  update(name: TableName, gaps: readonly LaneGap[]): void {
    const before = this.#gapsByTable.get(formatTableName(name)) ?? [];
    const now = gaps.map((gap) =>
      this.#watch(
        gap,
        before.find((known) => isSame(known, gap)),
      ),
    );
    for (const gap of before)
      if (!gaps.some((still) => isSame(still, gap)))
        this.#log.info(factsOf(gap), 'a missing shipment has come');
    if (now.length > 0) this.#gapsByTable.set(formatTableName(name), now);
    else this.#gapsByTable.delete(formatTableName(name));
  }

  /** Forgets tables for which nothing waits any more. */
  keepOnly(names: Iterable<TableName>): void {
    const kept = new Set([...names].map(formatTableName));
    for (const table of this.#gapsByTable.keys()) if (!kept.has(table)) this.#gapsByTable.delete(table);
  }

  #watch(gap: LaneGap, known: WatchedGap | undefined): WatchedGap {
    if (!known) this.#log.warn(factsOf(gap), 'a lane waits for a missing shipment');
    return { ...gap, sinceMs: known?.sinceMs ?? this.#clock.nowMs() };
  }
}

function isSame(left: LaneGap, right: LaneGap): boolean {
  return left.appId === right.appId && left.awaitedSeq === right.awaitedSeq;
}

function factsOf({ lane, awaitedSeq, firstWaitingSeq }: LaneGap): object {
  const { agent, epoch, lane: laneName, database, table } = lane;
  return { agent, epoch, lane: laneName, database, table, awaitedSeq, firstWaitingSeq };
}
