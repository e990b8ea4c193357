/**
 * One MQTT connection, from CONNECT to its end; never reused, so that an acknowledgement cannot cross to another one.
 *
 * mqtt.js acknowledges a QoS 1 message when the callback of `handleMessage` is called without an error, and handles one
 * packet at a time. Both are in the way of group commits, so:
 *
 * 1. `handleMessage` calls back with an error at once: mqtt.js then sends no PUBACK, reports nothing, and reads on.
 * 2. `acknowledge` writes the PUBACKs itself, in the order of receipt (MQTT 5.0 [MQTT-4.6.0-2]), when the log has the messages.
 * 3. Not calling back stops the reading, and TCP stops the broker.
 *
 * 1. is how mqtt.js is written, not what it promises: its version is pinned, and a test holds it to this behaviour.
 * Subscriptions ask for QoS 1: at QoS 2 mqtt.js keeps received identifiers in memory only and loses a message when killed.
 */
import { createRequire } from 'node:module';
import type { IConnackPacket, IPublishPacket, MqttClient } from 'mqtt';
import { readPem, type TlsConfig } from '@varve/common/config/pem.js';
import { Failure, messageOf } from '@varve/common/errors.js';
import type { SourceConfig } from '../config.js';

export type ProtocolVersion = 4 | 5;

const mqtt = loadMqtt();

/** How a connection came to nothing, where that says whether the broker speaks the protocol version. */
export type RefusalKind = 'version' | 'dropped' | 'other';

export class ConnectionRefused extends Error {
  readonly refusal: RefusalKind;

  constructor(message: string, refusal: RefusalKind) {
    super(message);
    this.refusal = refusal;
  }
}

export interface Arrival {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** 0 at QoS 0, which nobody acknowledges. */
  readonly packetId: number;
  /** The broker has sent it before, on this or an earlier connection (MQTT 5.0 §3.3.1.1). */
  readonly isRepeated: boolean;
  /** Lets the connection read on; not calling it holds the broker back, PINGRESP included. */
  readonly proceed: () => void;
}

/** What a source needs of a connection. */
export type SourceConnection = Pick<
  MqttConnection,
  'closed' | 'sessionPresent' | 'acknowledge' | 'end' | 'destroy'
>;

export interface ConnectionOptions {
  readonly source: SourceConfig;
  readonly protocolVersion: ProtocolVersion;
  readonly connectTimeoutMs: number;
  /** The broker has no session of ours: packet identifiers begin anew. Before any message of the new one. */
  readonly onNewSession: () => void;
  /** Before subscribing. Resolves to the filters that the session is to give up. */
  readonly onSession: (sessionPresent: boolean) => Promise<readonly string[]>;
  readonly onArrival: (connection: SourceConnection, arrival: Arrival) => void;
  /**
   * Gives up opening it. A session's messages come before the answer to the subscription, which is never read while nobody
   * takes them.
   */
  readonly signal: AbortSignal;
}

/** Tells mqtt.js not to acknowledge. It never leaves this file. */
const notYetDurable = new Error('acknowledged once it is durable');

export class MqttConnection {
  readonly protocolVersion: ProtocolVersion;
  /** Resolves with the reason when the connection is over. */
  readonly closed: Promise<string>;
  readonly #client: MqttClient;
  #sessionPresent = false;
  #lastError: string | undefined;

  private constructor({
    source,
    protocolVersion,
    connectTimeoutMs,
    onNewSession,
    onArrival,
  }: ConnectionOptions) {
    this.protocolVersion = protocolVersion;
    this.#client = mqtt.connect(source.url, {
      clientId: source.clientId,
      protocolVersion,
      clean: false,
      keepalive: source.keepaliveSeconds,
      connectTimeout: connectTimeoutMs,
      manualConnect: true,
      reconnectPeriod: 0,
      // Its own asks for every packet, several times, whether anybody listens: a tenth of the agent's work.
      log: () => undefined,
      // Of every number to 65,535 as a buffer, to have it ready: 14 MB, and we send few packets.
      writeCache: false,
      resubscribe: false,
      ...(source.username === undefined ? {} : { username: source.username }),
      ...(source.password === undefined ? {} : { password: source.password }),
      ...readTls(source.tls),
      ...(protocolVersion === 5 && {
        properties: {
          sessionExpiryInterval: source.sessionExpirySeconds,
          receiveMaximum: source.receiveMaximum,
        },
      }),
    });
    // A resumed session floods right behind CONNACK: this must be in place before the connection is.
    this.#client.handleMessage = (packet, callback) => onArrival(this, toArrival(packet, callback));
    this.#client.once('connect', ({ sessionPresent }) => {
      if (!sessionPresent) onNewSession();
    });
    this.#client.on('error', (error) => (this.#lastError = messageOf(error)));
    this.closed = new Promise((resolve) => {
      this.#client.once('close', () => resolve(this.#lastError ?? 'the broker closed the connection'));
    });
  }

  /** @throws ConnectionRefused; Failure `bad_request` when the broker refuses a subscription; what `onSession` throws */
  static async open(options: ConnectionOptions): Promise<MqttConnection> {
    // Before there is a stream, mqtt.js cannot be ended.
    if (options.signal.aborted) throw new ConnectionRefused('given up', 'other');
    const connection = new MqttConnection(options);
    let isGivenUp = false as boolean;
    const giveUp = () => {
      isGivenUp = true;
      connection.destroy();
    };
    options.signal.addEventListener('abort', giveUp);
    try {
      connection.#sessionPresent = (await connack(connection.#client)).sessionPresent;
      await connection.#unsubscribe(await options.onSession(connection.#sessionPresent));
      await connection.#subscribe(options.source.topics);
      return connection;
    } catch (error) {
      connection.destroy();
      throw isGivenUp ? new ConnectionRefused('given up', 'other') : error;
    } finally {
      options.signal.removeEventListener('abort', giveUp);
    }
  }

  /** The broker kept our session: what it could not deliver meanwhile comes now. */
  get sessionPresent(): boolean {
    return this.#sessionPresent;
  }

  /** Sends PUBACKs in the order given, if this connection still stands; otherwise the broker sends the messages again. */
  acknowledge(packetIds: readonly number[]): number {
    if (!this.#client.connected) return 0;
    // One write for all of them; mqtt.js takes 3 µs for each.
    this.#client.stream.write(encodePubacks(packetIds));
    return packetIds.length;
  }

  /** Ends it in order: DISCONNECT, then close. The session stays. */
  async end(): Promise<void> {
    await this.#client.endAsync();
  }

  /** Ends it at once. */
  destroy(): void {
    this.#client.end(true);
  }

  async #unsubscribe(topics: readonly string[]): Promise<void> {
    if (topics.length === 0) return;
    try {
      await this.#client.unsubscribeAsync([...topics]);
    } catch (error) {
      throw new ConnectionRefused(messageOf(error), 'other');
    }
  }

  async #subscribe(topics: readonly string[]): Promise<void> {
    // rh 1: retained messages come with a new subscription only, not at every reconnect (MQTT 5.0 §3.8.3.1).
    const v5 = this.protocolVersion === 5 ? { rh: 1 as const, rap: true } : {};
    try {
      await this.#client.subscribeAsync([...topics], { qos: 1, ...v5 });
    } catch (error) {
      const refused = topics.filter((_, index) => (grantedBy(error)[index] ?? 0) >= 128);
      if (refused.length === 0) throw new ConnectionRefused(messageOf(error), 'other');
      throw new Failure('bad_request', `the broker refuses the subscription to ${refused.join(', ')}`, {
        hint: 'allow this client to read these topics in the access list of the broker',
      });
    }
  }
}

/**
 * Not by `import`: Node reads through all of mqtt.js for the names of its exports then, which takes 6 MB and keeps them. And
 * with a `debug` that is off for good: mqtt-packet calls it several times for every packet, and the arguments alone are a
 * tenth of all that the agent allocates.
 */
function loadMqtt(): typeof import('mqtt') {
  const requireOfMqtt = createRequire(import.meta.resolve('mqtt'));
  const debug = requireOfMqtt.resolve('debug');
  requireOfMqtt(debug);
  const loaded = requireOfMqtt.cache[debug];
  if (loaded) loaded.exports = () => () => undefined;
  return requireOfMqtt('mqtt') as typeof import('mqtt');
}

/** Packets of four bytes: success without properties is the same in MQTT 5 (§3.4.2.1) as in 3.1.1 (§3.4). */
export function encodePubacks(packetIds: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(4 * packetIds.length);
  for (let index = 0; index < packetIds.length; index++) {
    bytes.writeUInt16BE(0x4002, 4 * index);
    bytes.writeUInt16BE(packetIds[index] ?? 0, 4 * index + 2);
  }
  return bytes;
}

/** Read for every connection: certificates are renewed while the agent runs. @throws ConnectionRefused */
export function readTls(tls: TlsConfig | undefined): { ca?: string; cert?: string; key?: string } {
  try {
    return Object.fromEntries(
      Object.entries(tls ?? {}).flatMap(([option, written]: [string, string | undefined]) =>
        written === undefined ? [] : [[option, readPem(written)]],
      ),
    );
  } catch (error) {
    throw new ConnectionRefused(`a certificate cannot be read: ${messageOf(error)}`, 'other');
  }
}

function toArrival(packet: IPublishPacket, callback: (error?: Error) => void): Arrival {
  const isQos0 = packet.qos === 0;
  return {
    topic: packet.topic,
    payload: typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload,
    packetId: isQos0 ? 0 : (packet.messageId ?? 0),
    isRepeated: packet.dup,
    proceed: () => callback(isQos0 ? undefined : notYetDurable),
  };
}

/** Of the SUBACK that mqtt.js rejects with, one code per topic (MQTT 5.0 §3.9.3); none where the connection broke. */
function grantedBy(error: unknown): readonly number[] {
  return (error as { packet?: { granted?: readonly number[] } } | null)?.packet?.granted ?? [];
}

function connack(client: MqttClient): Promise<IConnackPacket> {
  return new Promise((resolve, reject) => {
    client.once('connect', resolve);
    client.once('error', (error) => reject(new ConnectionRefused(messageOf(error), refusalKind(error))));
    client.once('close', () => reject(new ConnectionRefused('closed before the broker answered', 'dropped')));
    client.connect();
  });
}

/** 0x84 is MQTT 5's "unsupported protocol version" (§3.2.2.2), 1 is 3.1.1's (§3.2.2.3). */
function refusalKind(error: unknown): RefusalKind {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 0x84 || code === 1 ? 'version' : 'other';
}

/** What to try next: brokers that do not know MQTT 5 say so, or just hang up. */
export function planProtocolVersion(current: ProtocolVersion, refusal: RefusalKind): ProtocolVersion {
  if (refusal === 'other') return current;
  return current === 5 ? 4 : 5;
}
