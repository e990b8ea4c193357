/** What the edge database holds, as plain arrays: the durable part of the model of the edge log. */
import type {
  AggregateState,
  DeadLetter,
  LaneOfTable,
  LogRange,
  OutboxEntry,
  ReductionState,
  StoredBlock,
} from '@varve/edge-agent/log/edge-log.js';
import type { Loss, LossTotal } from '@varve/edge-agent/log/loss.js';

export interface LossRow extends Loss {
  readonly id: number;
  outboxId: number | undefined;
}

export class LogTables {
  readonly epoch: string;
  blocks: StoredBlock[] = [];
  nextSeq = 1;
  endSeq = 1;
  backlog: readonly LogRange[] = [];
  aggregates: AggregateState = { closedMs: new Map(), openRanges: [] };
  reduction: ReductionState = { nextSeq: 0, states: [] };
  readonly lanes = new Map<string, LaneOfTable & { readonly seq: number }>();
  outbox: OutboxEntry[] = [];
  lastOutboxId = 0;
  deadLetters: DeadLetter[] = [];
  readonly onlyFor = new Map<number, readonly string[]>();
  readonly notFor = new Map<number, readonly string[]>();
  losses: LossRow[] = [];
  lastLossId = 0;
  readonly totals = new Map<string, LossTotal>();

  constructor(epoch: string) {
    this.epoch = epoch;
  }
}
