/**
 * What the agent says of itself: `GET /status` for programs, `varve-edge status` for people, and the gauges.
 */
import type { Clock } from '@varve/common/clock.js';
import type { EdgeLog } from '../log/edge-log.js';
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
  readonly startedMs: number;
  readonly clock: Clock;
  readonly log: Pick<EdgeLog, 'opened' | 'sizes'>;
  readonly sources: readonly MqttSource[];
  readonly pump: Pump;
  readonly outbox: Outbox;
  readonly shipper: Shipper;
  readonly metrics: EdgeMetrics;
}

/** Reads the parts' states, and sets the gauges to the same values. */
export async function readStatus(from: StatusSources): Promise<EdgeStatus> {
  const { agent, version, startedMs, clock, log, sources, pump, outbox, shipper } = from;
  const nowMs = clock.nowMs();
  const oldestMs = Math.min(nowMs, ...outbox.entries.map(({ stagedMs }) => stagedMs));
  const { bytes, oldestSeq, endSeq } = await log.sizes();
  const status: EdgeStatus = {
    agent,
    version,
    epoch: log.opened.epoch,
    uptime_seconds: Math.round((nowMs - startedMs) / 1_000),
    sources: Object.fromEntries(sources.map((source) => [source.name, describeSource(source.state())])),
    log: {
      ...{ bytes, oldest_seq: oldestSeq, next_seq: pump.nextSeq },
      waiting_messages: pump.waitingMessages(endSeq),
      backlog_messages: pump.backlogMessages,
    },
    outbox: {
      shipments: outbox.entries.length,
      bytes: outbox.entries.reduce((sum, entry) => sum + entry.bytes, 0),
    },
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
  metrics.outboxShipments.set(status.outbox.shipments);
  metrics.oldestUnshippedSeconds.set(status.oldest_unshipped_seconds);
  for (const [source, { connected }] of Object.entries(status.sources))
    metrics.connected.set({ source }, connected ? 1 : 0);
}
