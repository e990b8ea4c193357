/**
 * An MQTT broker with one persistent session: QoS 1, a receive maximum, packet identifiers that come again soon. On a new
 * connection it sends everything that was not acknowledged again, in order, marked as such (MQTT 5.0 §4.4).
 */
import type { ConnectionOptions } from '@varve/edge-agent/source/mqtt-connection.js';
import type { SourceConnection } from '@varve/edge-agent/source/mqtt-connection.js';
import { ConnectionRefused } from '@varve/edge-agent/source/mqtt-connection.js';
import type { Effects } from './effects.js';
import { FakeConnection } from './fake-connection.js';
import type { FakeMessage } from './fake-messages.js';
import type { PlantedFault } from './planted-faults.js';

export interface FakeBrokerOptions {
  readonly effects: Effects;
  readonly random: () => number;
  readonly planted: PlantedFault | undefined;
  readonly receiveMaximum: number;
  readonly isReachable: () => boolean;
  /** The log has it, durably. */
  readonly isDurable: (message: FakeMessage) => boolean;
}

export class FakeBroker {
  readonly acknowledged = new Set<number>();
  readonly #options: FakeBrokerOptions;
  #waiting: FakeMessage[] = [];
  /** Sent and not acknowledged, in order of first sending. */
  #inFlight = new Map<number, FakeMessage>();
  #connection: FakeConnection | undefined;
  #hasSession = false;
  #lastPacketId = 0;
  #connections = 0;

  constructor(options: FakeBrokerOptions) {
    this.#options = options;
  }

  /** Nothing waits for the agent, or for its acknowledgement. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#inFlight.size === 0;
  }

  publish(message: FakeMessage): void {
    this.#waiting.push(message);
    this.#send();
  }

  async connect(options: ConnectionOptions): Promise<SourceConnection> {
    const { effects } = this.#options;
    const { signal } = options;
    const connection = await effects.call('broker: CONNECT', () => {
      if (signal.aborted || !this.#options.isReachable())
        throw new ConnectionRefused('planted: unreachable', 'other');
      return this.#accept(options);
    });
    try {
      // Messages come meanwhile, and the intake may close.
      await options.onSession(connection.sessionPresent);
      if (!signal.aborted) return connection;
      throw new ConnectionRefused('given up', 'other');
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  /** The network between broker and agent breaks. What is under way may still arrive, at the broker's end. */
  cut(): void {
    const { effects, random } = this.#options;
    const connection = this.#connection;
    if (!connection) return;
    effects.note(`connection ${connection.number} is cut`);
    effects.seen.add('connection cut');
    this.#connection = undefined;
    connection.cut(random() < 0.5);
  }

  /** The broker comes back without what it knew of us. */
  loseSession(): void {
    this.#options.effects.note('the broker loses the session');
    this.#options.effects.seen.add('session lost');
    this.cut();
    this.#hasSession = false;
    this.#waiting = [];
    this.#inFlight.clear();
    this.#lastPacketId = 0;
  }

  #accept(options: ConnectionOptions): FakeConnection {
    const { effects, planted, isDurable } = this.#options;
    // A client takes over its own session: the old connection goes (MQTT 5.0 §3.1.4).
    this.cut();
    const connection = new FakeConnection({
      ...{ effects, isDurable, number: ++this.#connections, sessionPresent: this.#hasSession },
      onPuback: (packetId) => this.#takePuback(connection, packetId),
      onArrival: (arrival) => options.onArrival(connection, arrival),
      onClosed: () => {
        if (this.#connection === connection) this.#connection = undefined;
      },
      ...(planted === 'ack crosses connections' && { other: () => this.#connection }),
    });
    this.#connection = connection;
    if (!this.#hasSession) options.onNewSession();
    this.#hasSession = true;
    for (const [packetId, message] of this.#inFlight) connection.send(message, packetId, true);
    this.#send();
    return connection;
  }

  #send(): void {
    const connection = this.#connection;
    while (connection && this.#inFlight.size < this.#options.receiveMaximum) {
      const message = this.#waiting.shift();
      if (!message) return;
      const packetId = message.qos === 0 ? 0 : this.#nextPacketId();
      if (packetId !== 0) this.#inFlight.set(packetId, message);
      connection.send(message, packetId, false);
    }
  }

  /** Few, so that they come again soon. */
  #nextPacketId(): number {
    do this.#lastPacketId = (this.#lastPacketId % (this.#options.receiveMaximum + 2)) + 1;
    while (this.#inFlight.has(this.#lastPacketId));
    return this.#lastPacketId;
  }

  #takePuback(connection: FakeConnection, packetId: number): void {
    // After a cut it may come from the old connection, which the broker has not noticed: it counts, if nothing came between.
    if (this.#connection !== undefined && this.#connection !== connection) return;
    const message = this.#inFlight.get(packetId);
    if (!message) return;
    this.#inFlight.delete(packetId);
    this.acknowledged.add(message.id);
    this.#send();
  }
}
