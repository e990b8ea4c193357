/**
 * What ingest is doing, for `GET /status` and for people.
 */
import { isFailure, messageOf } from '@varve/common/errors.js';
import type { TableReport } from './ingest-table.js';
import type { WatchedGap } from './gap-watch.js';
import type { Trouble } from './retry-schedule.js';

export interface RoundReport {
  /** Shipments that the round saw in the inbox. */
  readonly waiting: number;
  /** Inbox objects that went into quarantine. */
  readonly quarantined: number;
  /** Tables that had their turn, in the order in which the turns ended. */
  readonly tables: readonly TableReport[];
  /** Tables whose turn failed, by `database.table`. */
  readonly failures: readonly { readonly name: string; readonly error: unknown }[];
  /** There is more to do at once. */
  readonly hasMore: boolean;
}

export interface IngestStatus {
  readonly rounds: number;
  /** Wall clock; undefined before the first round has ended. */
  readonly lastRoundAtMs: number | undefined;
  readonly waiting: number;
  /** Since the program was started. */
  readonly quarantined: number;
  readonly gaps: readonly GapStatus[];
  /** Tables that have got shipments since the program was started. */
  readonly tables: readonly TableStatus[];
  /** What fails at the moment; empty when all is well. */
  readonly troubles: readonly TroubleStatus[];
  /** The newest failure, also when it has passed. */
  readonly lastError: { readonly atMs: number; readonly message: string } | undefined;
}

export interface GapStatus {
  readonly agent: string;
  readonly epoch: string;
  readonly lane: string;
  readonly database: string;
  readonly table: string;
  readonly awaitedSeq: number;
  readonly firstWaitingSeq: number;
  readonly sinceMs: number;
}

export interface TableStatus {
  readonly database: string;
  readonly table: string;
  readonly shipmentsCommitted: number;
  readonly rowsCommitted: number;
  readonly lastCommitAtMs: number;
}

export interface TroubleStatus {
  /** `inbox`, or `database.table`. */
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
  readonly sinceMs: number;
  readonly attempts: number;
}

export function toGapStatus({ lane, awaitedSeq, firstWaitingSeq, sinceMs }: WatchedGap): GapStatus {
  const { agent, epoch, lane: laneName, database, table } = lane;
  return { agent, epoch, lane: laneName, database, table, awaitedSeq, firstWaitingSeq, sinceMs };
}

export function toTroubleStatus({ name, error, sinceMs, attempts }: Trouble): TroubleStatus {
  return {
    name,
    code: isFailure(error) ? error.code : undefined,
    message: messageOf(error),
    sinceMs,
    attempts,
  };
}

/** `status` after one more turn of the table. */
export function addTurn(status: TableStatus | undefined, turn: TableReport, nowMs: number): TableStatus {
  return {
    ...turn.name,
    shipmentsCommitted: (status?.shipmentsCommitted ?? 0) + turn.shipmentsCommitted,
    rowsCommitted: (status?.rowsCommitted ?? 0) + turn.rowsCommitted,
    lastCommitAtMs: nowMs,
  };
}
