/**
 * One source: keeps an MQTT connection, puts what comes into the log, and acknowledges what the log has (DESIGN I1).
 *
 * Bounds: at most `pendingMessagesMax` messages or `pendingBytesMax` bytes wait for the disk; then reading stops until half
 * of that is durable. Brokers exceed MQTT's own receive maximum, so this bound is ours.
 */
import type { Clock } from '@varve/common/clock.js';
import { planBackoffMs } from '@varve/common/backoff.js';
import { Failure, messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { IntakeGate } from '../buffer/intake-gate.js';
import type { ArrivalClock } from '../clock-trust/clock-watch.js';
import type { GroupLimits, SourceConfig } from '../config.js';
import type { EdgeLog } from '../log/edge-log.js';
import { isEvicted, readBlock } from '../log/block.js';
import { GroupCommitter } from '../log/group-committer.js';
import type { EdgeMetrics } from '../metrics.js';
import { Trouble } from '../trouble.js';
import {
  ConnectionRefused,
  MqttConnection,
  planProtocolVersion,
  type Arrival,
  type ConnectionOptions,
  type ProtocolVersion,
  type SourceConnection,
} from './mqtt-connection.js';
import { fingerprint, RedeliveryFilter } from './redelivery.js';
import { Subscriptions } from './subscriptions.js';

const pendingMessagesMax = 10_000;
const pendingBytesMax = 16_000_000;
const connectTimeoutMs = 10_000;
const recallBytesMax = 1_000_000;
const reconnectBackoff = { firstMs: 500, maxMs: 30_000 };

export interface SourceState {
  readonly broker: string;
  readonly connected: boolean;
  /** When it last connected or lost the connection, ms since 1970. */
  readonly sinceMs: number;
  readonly protocolVersion: '5.0' | '3.1.1';
  readonly sessionPresent: boolean;
  readonly lastError: string | undefined;
}

export interface MqttSourceOptions {
  readonly config: SourceConfig;
  readonly limits: GroupLimits;
  readonly log: Pick<EdgeLog, 'append' | 'opened' | 'read' | 'subscribed' | 'setSubscribed'>;
  readonly clock: Clock;
  readonly arrivals: ArrivalClock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
  /** Absent: over the network. */
  readonly connect?: (options: ConnectionOptions) => Promise<SourceConnection>;
  /** Closed: messages are not taken, and the connection is given up until it opens. */
  readonly intake: IntakeGate;
  /** New messages are durable. */
  readonly onDurable: () => void;
}

/** What is owed to the broker for one message. */
interface Ticket {
  readonly connection: SourceConnection;
  /** 0: nothing. */
  readonly packetId: number;
  /** False for a message that the log had already. */
  readonly isNew: boolean;
}

export class MqttSource {
  readonly #options: MqttSourceOptions;
  readonly #logger: Logger;
  readonly #committer: GroupCommitter<Ticket>;
  readonly #redeliveries = new RedeliveryFilter();
  readonly #storing = new Trouble();
  readonly #subscriptions: Subscriptions;
  #held: (() => void)[] = [];
  #protocolVersion: ProtocolVersion = 5;
  #state: SourceState;

  constructor(options: MqttSourceOptions) {
    this.#options = options;
    const { config, limits, log, clock, logger } = options;
    this.#logger = logger.child({ source: config.name, broker: config.brokerName });
    this.#subscriptions = new Subscriptions(log, config);
    this.#committer = new GroupCommitter<Ticket>({
      log,
      source: config.name,
      limits: {
        ...limits,
        messagesMax: () => planGroupMessagesMax(limits.messagesMax, this.#protocolVersion, config),
      },
      clock,
      blockClock: () => options.arrivals.blockClock(),
      onDurable: (tickets) => this.#acknowledge(tickets),
      onFailed: (failure, tickets) => this.#giveBack(failure, tickets),
    });
    this.#state = this.#describe({ connected: false, sessionPresent: false, lastError: undefined });
  }

  get name(): string {
    return this.#options.config.name;
  }

  state(): SourceState {
    return this.#state;
  }

  /** Receives until `signal` aborts; then stops reading, makes durable and acknowledges what came, and disconnects. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#recall();
    await this.#subscriptions.recall();
    const committing = new AbortController();
    const committed = this.#committer.run(committing.signal);
    // Also after a fault: a committer that waits for messages would keep the process alive.
    const received = this.#receive(signal, async () => {
      committing.abort();
      await committed;
    }).finally(() => committing.abort());
    await Promise.all([committed, received]);
  }

  /** Learns from the log which messages it has, so that what the broker sends again after a restart is recognised. */
  async #recall(): Promise<void> {
    const { log, config } = this.#options;
    for (let seq = log.opened.recentSeq; seq < log.opened.endSeq;) {
      const blocks = await log.read(seq, recallBytesMax);
      // The newest ones may have been evicted.
      if (blocks.length === 0) return;
      for (const block of blocks) {
        seq = block.firstSeq + block.messageCount;
        if (block.source !== config.name) continue;
        for (const message of readBlock(block.bytes)) {
          const { packetId, topic, payload } = message;
          if (packetId !== 0 && !isEvicted(message))
            this.#redeliveries.remember(packetId, fingerprint(topic, payload));
        }
      }
    }
  }

  async #receive(signal: AbortSignal, drain: () => Promise<void>): Promise<void> {
    const { clock, random, intake } = this.#options;
    let attempt = 0;
    let connection: SourceConnection | undefined;
    let opening = new AbortController();
    const forget = intake.onStop(() => {
      opening.abort();
      connection?.destroy();
    });
    while (!signal.aborted) {
      if (!intake.isOpen) await this.#waitForRoom(signal);
      opening = new AbortController();
      connection = await this.#connect(AbortSignal.any([signal, opening.signal]));
      if (!intake.isOpen) connection?.destroy();
      // While the log takes nothing, the broker is not asked for the same messages twice a second.
      if (connection && !this.#storing.isThere) attempt = 0;
      if (connection) await untilClosed(connection, signal, (reason) => this.#lost(reason));
      await clock.sleep(planBackoffMs(++attempt, reconnectBackoff, random()), signal);
    }
    forget();
    await drain();
    await connection?.end();
  }

  async #waitForRoom(signal: AbortSignal): Promise<void> {
    const { intake } = this.#options;
    this.#lost(`stopped: ${intake.stopReason ?? ''}`);
    await intake.whenOpen(signal);
  }

  async #connect(signal: AbortSignal): Promise<SourceConnection | undefined> {
    const protocolVersion = this.#protocolVersion;
    try {
      const open = this.#options.connect ?? ((options) => MqttConnection.open(options));
      const connection = await open({
        source: this.#options.config,
        protocolVersion,
        connectTimeoutMs,
        onNewSession: () => this.#redeliveries.clear(),
        onSession: (sessionPresent) => this.#subscriptions.begin(sessionPresent),
        onArrival: (from, arrival) => this.#take(from, arrival),
        signal,
      });
      const { sessionPresent } = connection;
      this.#state = this.#describe({ connected: true, sessionPresent, lastError: undefined });
      this.#logger.info({ protocol: this.#state.protocolVersion, sessionPresent }, 'connected to the broker');
      return connection;
    } catch (error) {
      if (!(error instanceof ConnectionRefused || error instanceof Failure)) throw error;
      if (signal.aborted) return undefined;
      this.#lost(messageOf(error));
      if (error instanceof ConnectionRefused)
        this.#protocolVersion = planProtocolVersion(protocolVersion, error.refusal);
      return undefined;
    }
  }

  #lost(reason: string): void {
    // Once per change of state: an outage of a week is one line, not one every half minute.
    if (this.#state.connected || this.#state.lastError !== reason)
      this.#logger.warn({ reason }, 'not connected to the broker');
    const wasConnected = this.#state.connected;
    const next = this.#describe({ connected: false, sessionPresent: false, lastError: reason });
    this.#state = wasConnected ? next : { ...next, sinceMs: this.#state.sinceMs };
  }

  #take(connection: SourceConnection, { topic, payload, packetId, isRepeated, proceed }: Arrival): void {
    const { arrivals, metrics, intake } = this.#options;
    // Not taken: the broker keeps it, and sends it on the next connection only. This one may be just being opened.
    if (!intake.isOpen) {
      connection.destroy();
      return;
    }
    metrics.messagesReceived.inc();
    if (this.#subscriptions.isUnwanted(topic)) {
      metrics.messagesUnwanted.inc();
      this.#committer.join({ connection, packetId, isNew: false });
      proceed();
      return;
    }
    const print = packetId === 0 ? undefined : fingerprint(topic, payload);
    if (print && isRepeated && this.#redeliveries.knows(packetId, print)) {
      metrics.messagesDuplicate.inc();
      this.#committer.join({ connection, packetId, isNew: false });
    } else {
      if (print) this.#redeliveries.remember(packetId, print);
      this.#committer.add(
        { topic, payload, packetId, arrivedMs: arrivals.nowMs() },
        { connection, packetId, isNew: true },
      );
    }
    const { pendingMessages, pendingBytes } = this.#committer;
    if (pendingMessages < pendingMessagesMax && pendingBytes < pendingBytesMax) proceed();
    else this.#held.push(proceed);
  }

  #acknowledge(tickets: readonly Ticket[]): void {
    const { metrics, onDurable } = this.#options;
    const newCount = countNew(tickets);
    metrics.messagesDurable.inc(newCount);
    if (newCount > 0 && this.#storing.ends()) this.#logger.info('messages are stored again');
    for (const { connection, packetIds } of runsByConnection(tickets))
      metrics.messagesAcknowledged.inc(connection.acknowledge(packetIds));
    onDurable();
    this.#readOn();
  }

  #giveBack(failure: Failure, tickets: readonly Ticket[]): void {
    if (this.#storing.begins(failure))
      this.#logger.error(
        { err: failure, hint: failure.hint, messages: tickets.length },
        'messages could not be stored; the broker keeps them',
      );
    // Not those that the log has had before: they came again, and will once more.
    for (const { packetId, isNew } of tickets) if (isNew) this.#redeliveries.forget(packetId);
    // The broker sends unacknowledged messages again on a new connection only (MQTT 5.0 §4.4).
    for (const connection of new Set(tickets.map((ticket) => ticket.connection))) connection.destroy();
    this.#readOn();
  }

  #readOn(): void {
    if (this.#committer.pendingMessages > pendingMessagesMax / 2) return;
    if (this.#committer.pendingBytes > pendingBytesMax / 2) return;
    const held = this.#held;
    this.#held = [];
    for (const proceed of held) proceed();
  }

  #describe(state: Pick<SourceState, 'connected' | 'sessionPresent' | 'lastError'>): SourceState {
    return {
      ...state,
      broker: this.#options.config.brokerName,
      sinceMs: this.#options.clock.nowMs(),
      protocolVersion: this.#protocolVersion === 5 ? '5.0' : '3.1.1',
    };
  }
}

/**
 * A broker that sends nothing more until we acknowledge would let a group that waits for more wait for its whole delay.
 *
 * MQTT 5: at half of our receive maximum, one half comes in while the other is written. 3.1.1 has no such number: Mosquitto
 * stops at 20 unless configured otherwise, and groups of 20 are few enough writes.
 */
export function planGroupMessagesMax(
  messagesMax: number,
  protocolVersion: ProtocolVersion,
  { receiveMaximum }: Pick<SourceConfig, 'receiveMaximum'>,
): number {
  return Math.min(messagesMax, protocolVersion === 5 ? Math.ceil(receiveMaximum / 2) : 20);
}

/** Resolves when the connection is over – saying why – or `signal` aborts. */
async function untilClosed(
  connection: SourceConnection,
  signal: AbortSignal,
  onClosed: (reason: string) => void,
) {
  let stop: (() => void) | undefined;
  const stopped = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
  const reason = await Promise.race([connection.closed, stopped]);
  if (stop) signal.removeEventListener('abort', stop);
  if (reason !== undefined) onClosed(reason);
}

function countNew(tickets: readonly Ticket[]): number {
  let count = 0;
  for (const { isNew } of tickets) if (isNew) count++;
  return count;
}

/** Neighbouring tickets of one connection together, in order. */
function runsByConnection(
  tickets: readonly Ticket[],
): { connection: SourceConnection; packetIds: number[] }[] {
  const runs: { connection: SourceConnection; packetIds: number[] }[] = [];
  for (const { connection, packetId } of tickets) {
    if (packetId === 0) continue;
    const run = runs.at(-1);
    if (run?.connection === connection) run.packetIds.push(packetId);
    else runs.push({ connection, packetIds: [packetId] });
  }
  return runs;
}
