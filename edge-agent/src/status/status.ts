/**
 * What the agent says of itself: `GET /status` for programs, `varve-edge status` for people, and the gauges.
 */
import type { Clock } from '@varve/common/clock.js';
import type { BufferFacts, BufferKeeper } from '../buffer/buffer-keeper.js';
import type { ClockFacts, ClockWatch } from '../clock-trust/clock-watch.js';
import type { EdgeLog } from '../log/edge-log.js';
import type { LossFacts } from '../log/loss.js';
import type { EdgeMetrics } from '../metrics.js';
import type { Outbox } from '../ship/outbox.js';
import type { Pump } from '../ship/pump.js';
import type { Shipper, ShipperState } from '../ship/shipper.js';
import type { MqttSource, SourceState } from '../source/mqtt-source.js';

/** `GET /status`. */
export interface EdgeStatus {
  readonly agent: string;
  readonly version: string;
  readonly epoch: string;
  readonly uptime_seconds: number;
  readonly sources: Readonly<Record<string, SourceStatus>>;
  readonly log: {
    readonly bytes: number;
    /** The oldest message that is kept, and the first one that is in no shipment. */
    readonly oldest_seq: number;
    readonly next_seq: number;
    /** Messages that are in no shipment yet. */
    readonly waiting_messages: number;
    /** Those of them that were jumped over after an outage, and follow in their own lane. */
    readonly backlog_messages: number;
  };
  readonly buffer: {
    /** Of log and outbox, as `buffer.max_size` counts them, and free on the disk. */
    readonly bytes: number;
    readonly max_bytes: number;
    readonly free_bytes: number;
    /** Until it is full with the store away, at the rate of the last hour; null while nothing comes. */
    readonly days_left: number | null;
    readonly state: 'collecting' | 'dropping' | 'stopped';
    readonly reason: string | null;
    /** `raw: keep`: what nothing needs any more, and since when; and what had to go before its time since the start. */
    readonly kept: {
      readonly bytes: number;
      readonly since: string | null;
      readonly released_messages: number;
    };
  };
  readonly clock: ClockStatus;
  readonly losses: LossesStatus;
  readonly outbox: { readonly shipments: number; readonly bytes: number };
  readonly oldest_unshipped_seconds: number;
  readonly store: {
    readonly reachable: boolean;
    readonly last_confirmed: string | null;
    readonly problem: {
      readonly message: string;
      readonly hint: string | null;
      readonly heals_itself: boolean;
    } | null;
  };
}

export interface ClockStatus {
  /** `waiting`: rows that need an arrival time wait for it; `untrusted`: they are taken at the clock's word. */
  readonly state: 'trusted' | 'waiting' | 'untrusted';
  /** Why it is trusted (`clock-trust/plan-trust.ts`), and why it is not. */
  readonly basis: string | null;
  readonly reason: string | null;
  readonly trusted_since: string | null;
  /** Held back, with those behind them. */
  readonly waiting_messages: number;
  /** How often the wall clock was set since the start. */
  readonly steps: number;
  readonly last_step: { readonly when: string; readonly seconds: number } | null;
}

/** Of the whole life of the database. */
export interface LossesStatus {
  readonly total: Readonly<
    Record<string, { readonly messages: number; readonly bytes: number; readonly last: string }>
  >;
  readonly last: { readonly kind: string; readonly when: string; readonly reason: string } | null;
  /** Rows of the ledger in no shipment yet. */
  readonly waiting_rows: number;
}

export interface SourceStatus {
  readonly broker: string;
  readonly connected: boolean;
  /** When it last connected, or lost the connection. */
  readonly since: string;
  readonly protocol_version: string;
  readonly session_present: boolean;
  readonly last_error: string | null;
}

export interface StatusSources {
  readonly agent: string;
  readonly version: string;
  /** Monotonic. */
  readonly startedMs: number;
  readonly clock: Clock;
  readonly watch: ClockWatch;
  readonly log: Pick<EdgeLog, 'opened' | 'sizes' | 'losses'>;
  readonly sources: readonly MqttSource[];
  readonly pump: Pump;
  readonly outbox: Outbox;
  readonly shipper: Shipper;
  readonly keeper: BufferKeeper;
  readonly metrics: EdgeMetrics;
}

/** Reads the parts' states, and sets the gauges to the same values. */
export async function readStatus(from: StatusSources): Promise<EdgeStatus> {
  const { agent, version, startedMs, clock, log, sources, pump, outbox, shipper, keeper, watch } = from;
  const nowMs = clock.nowMs();
  const oldestMs = Math.min(nowMs, ...outbox.entries.map(({ stagedMs }) => stagedMs));
  const { bytes, oldestSeq, endSeq } = await log.sizes(pump.nextSeq);
  const status: EdgeStatus = {
    agent,
    version,
    epoch: log.opened.epoch,
    uptime_seconds: Math.round((clock.monotonicMs() - startedMs) / 1_000),
    sources: Object.fromEntries(sources.map((source) => [source.name, describeSource(source.state())])),
    log: {
      ...{ bytes, oldest_seq: oldestSeq, next_seq: pump.nextSeq },
      waiting_messages: pump.waitingMessages(endSeq),
      backlog_messages: pump.backlogMessages,
    },
    buffer: describeBuffer(keeper.facts()),
    clock: describeClock(watch.facts(), pump.heldMessages(endSeq)),
    losses: describeLosses(await log.losses()),
    outbox: { shipments: outbox.entries.length, bytes: outbox.bytes },
    oldest_unshipped_seconds: Math.max(0, (nowMs - oldestMs) / 1_000),
    store: describeStore(shipper.state()),
  };
  setGauges(from.metrics, status);
  return status;
}

function describeSource(state: SourceState): SourceStatus {
  return {
    broker: state.broker,
    connected: state.connected,
    since: new Date(state.sinceMs).toISOString(),
    protocol_version: state.protocolVersion,
    session_present: state.sessionPresent,
    last_error: state.lastError ?? null,
  };
}

function describeBuffer(facts: BufferFacts): EdgeStatus['buffer'] {
  return {
    bytes: facts.bytes,
    max_bytes: facts.bytesMax,
    free_bytes: facts.freeBytes,
    days_left: facts.daysLeft ?? null,
    state: facts.state,
    reason: facts.reason ?? null,
    kept: {
      bytes: facts.kept.bytes,
      since: facts.kept.sinceMs === undefined ? null : new Date(facts.kept.sinceMs).toISOString(),
      released_messages: facts.kept.releasedMessages,
    },
  };
}

function describeClock(facts: ClockFacts, waitingMessages: number): ClockStatus {
  const { state, basis, reason, trustedSinceMs, steps, lastStep } = facts;
  return {
    state,
    basis: basis ?? null,
    reason: reason ?? null,
    trusted_since: trustedSinceMs === undefined ? null : new Date(trustedSinceMs).toISOString(),
    waiting_messages: waitingMessages,
    steps,
    last_step: lastStep
      ? { when: new Date(lastStep.whenMs).toISOString(), seconds: lastStep.byMs / 1_000 }
      : null,
  };
}

function describeLosses({ totals, waitingRows }: LossFacts): LossesStatus {
  const newest = totals.toSorted((a, b) => b.lastMs - a.lastMs)[0];
  return {
    total: Object.fromEntries(
      totals.map(({ kind, count, bytes, lastMs }) => [
        kind,
        { messages: count, bytes, last: new Date(lastMs).toISOString() },
      ]),
    ),
    last: newest
      ? { kind: newest.kind, when: new Date(newest.lastMs).toISOString(), reason: newest.lastReason }
      : null,
    waiting_rows: waitingRows,
  };
}

function describeStore({ storeReachable, lastConfirmedMs, problem }: ShipperState): EdgeStatus['store'] {
  return {
    reachable: storeReachable,
    last_confirmed: lastConfirmedMs === undefined ? null : new Date(lastConfirmedMs).toISOString(),
    problem: problem
      ? { message: problem.message, hint: problem.hint ?? null, heals_itself: problem.healsItself }
      : null,
  };
}

function setGauges(metrics: EdgeMetrics, status: EdgeStatus): void {
  metrics.logBytes.set(status.log.bytes);
  metrics.bufferBytes.set(status.buffer.bytes);
  metrics.bufferStopped.set(status.buffer.state === 'stopped' ? 1 : 0);
  metrics.clockTrusted.set(status.clock.state === 'trusted' ? 1 : 0);
  metrics.clockWaiting.set(status.clock.waiting_messages);
  metrics.clockSteps.set(status.clock.steps);
  metrics.outboxShipments.set(status.outbox.shipments);
  metrics.oldestUnshippedSeconds.set(status.oldest_unshipped_seconds);
  for (const [source, { connected }] of Object.entries(status.sources))
    metrics.connected.set({ source }, connected ? 1 : 0);
}
