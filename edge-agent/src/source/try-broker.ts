/**
 * What a broker says to a stranger: whether it lets us in, what it agrees to, and what comes through the configured topics.
 *
 * The running agent does not notice: another client id, a clean session that ends with the connection, QoS 0, and shared
 * subscriptions without their group, since a message that a group member takes is gone for the others.
 */
import mqtt, { type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt';
import type { Clock } from '@varve/common/clock.js';
import { messageOf, systemCodeOf } from '@varve/common/errors.js';
import { explainBrokerProblem, type BrokerProblem } from './explain-broker.js';
import { planProtocolVersion, readTls, type ProtocolVersion } from './mqtt-connection.js';
import { readCertificate, type CertificateFacts } from './read-certificate.js';
import type { SourceConfig } from './source-config.js';
import { matchesFilter } from './topic-filter.js';

const connectTimeoutMs = 10_000;

export interface BrokerReport {
  readonly source: string;
  readonly broker: string;
  /** Undefined: all is well. */
  readonly problem?: BrokerProblem | undefined;
  readonly certificate?: CertificateFacts | undefined;
  readonly agreed?: AgreedFacts | undefined;
  readonly topics: readonly TopicReport[];
}

export interface AgreedFacts {
  readonly protocolVersion: '5' | '3.1.1';
  /** Unacknowledged messages the broker takes from us; MQTT 3.1.1 has no such limits. */
  readonly receiveMaximum: number | null;
  readonly maximumPacketBytes: number | null;
  readonly maximumQos: number;
}

export interface TopicReport {
  readonly filter: string;
  readonly messages: number;
  /** Of these, kept by the broker from before. */
  readonly retained: number;
  readonly example: string | null;
  /** The broker refuses the subscription. */
  readonly refused: boolean;
}

export interface TryBrokerOptions {
  /** How long to listen. */
  readonly listenMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** A few letters of its own, so that two checks do not throw each other out. */
  readonly random: string;
}

/** Never rejects for what a broker or a network does. */
export async function tryBroker(source: SourceConfig, options: TryBrokerOptions): Promise<BrokerReport> {
  const report = { source: source.name, broker: source.brokerName, topics: [] };
  const isSecure = /^(mqtts|wss):/.test(source.url);
  const certificate = isSecure ? await readCertificate(source, connectTimeoutMs) : undefined;
  let client: MqttClient | undefined;
  try {
    const connected = await connectEither(source, options.random);
    client = connected.client;
    const agreed = describeConnack(connected.connack, connected.version);
    const topics = await listen(client, source.topics, options);
    const refused = topics.filter((topic) => topic.refused).map(({ filter }) => filter);
    const problem =
      refused.length > 0 ? explainBrokerProblem('subscription_refused', source, refused) : undefined;
    return { ...report, certificate, agreed, topics, problem };
  } catch (error) {
    return {
      ...report,
      certificate,
      problem: explainBrokerProblem(codeOf(error), source, [messageOf(error)]),
    };
  } finally {
    client?.end(true);
  }
}

interface Connected {
  readonly client: MqttClient;
  readonly connack: IConnackPacket;
  readonly version: ProtocolVersion;
}

/** MQTT 5, or 3.1.1 where the broker does not know that: as the agent does. */
async function connectEither(source: SourceConfig, random: string): Promise<Connected> {
  try {
    return await connectOnce(source, random, 5);
  } catch (error) {
    const code = codeOf(error);
    const refusal = code === 0x84 || code === 1 ? 'version' : code === 'closed' ? 'dropped' : 'other';
    const version = planProtocolVersion(5, refusal);
    if (version === 5) throw error;
    return connectOnce(source, random, version);
  }
}

function connectOnce(source: SourceConfig, random: string, version: ProtocolVersion): Promise<Connected> {
  const client = mqtt.connect(source.url, {
    clientId: `${source.clientId.slice(0, 50)}-check-${random}`,
    protocolVersion: version,
    clean: true,
    reconnectPeriod: 0,
    connectTimeout: connectTimeoutMs,
    manualConnect: true,
    ...(source.username === undefined ? {} : { username: source.username }),
    ...(source.password === undefined ? {} : { password: source.password }),
    ...readTls(source.tls),
  });
  return new Promise((resolve, reject) => {
    client.once('connect', (connack) => resolve({ client, connack, version }));
    // It stays: an error after the first one would end the process.
    client.on('error', reject);
    client.once('close', () =>
      reject(new BrokerClosed('the broker closed the connection without an answer')),
    );
    client.connect();
  });
}

class BrokerClosed extends Error {
  readonly code = 'closed';
}

function codeOf(error: unknown): string | number | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'number' ? code : systemCodeOf(error);
}

/** Absent properties have the specification's defaults (MQTT 5.0 §3.2.2.3). */
function describeConnack({ properties }: IConnackPacket, version: ProtocolVersion): AgreedFacts {
  if (version === 4)
    return { protocolVersion: '3.1.1', receiveMaximum: null, maximumPacketBytes: null, maximumQos: 2 };
  return {
    protocolVersion: '5',
    receiveMaximum: properties?.receiveMaximum ?? 65_535,
    maximumPacketBytes: properties?.maximumPacketSize ?? null,
    maximumQos: properties?.maximumQoS ?? 2,
  };
}

async function listen(
  client: MqttClient,
  filters: readonly string[],
  { listenMs, clock, signal }: TryBrokerOptions,
): Promise<TopicReport[]> {
  const counts = filters.map((filter) => ({
    ...{ filter, plain: filter.replace(/^\$share\/[^/]+\//, '') },
    ...{ messages: 0, retained: 0, example: null as string | null, refused: false },
  }));
  // Each message once, whatever other filters bring it too: brokers differ in how often they send it then.
  client.on('message', (topic: string, _payload: Buffer, packet: IPublishPacket) => {
    for (const count of counts)
      if (matchesFilter(count.plain, topic) ?? count.plain === topic) {
        count.messages++;
        if (packet.retain) count.retained++;
        count.example ??= topic;
      }
  });
  for (const count of counts) count.refused = !(await subscribe(client, count.plain));
  const closed = new AbortController();
  client.once('close', () => closed.abort());
  await clock.sleep(listenMs, AbortSignal.any([signal, closed.signal]));
  if (closed.signal.aborted)
    throw new BrokerClosed('the broker closed the connection while it was listened to');
  return counts.map(({ filter, messages, retained, example, refused }) => ({
    ...{ filter, messages, retained, example, refused },
  }));
}

/** False where the broker refuses it. */
async function subscribe(client: MqttClient, filter: string): Promise<boolean> {
  try {
    const granted = await client.subscribeAsync(filter, { qos: 0 });
    return granted.every(({ qos }) => qos < 128);
  } catch (error) {
    const codes = (error as { packet?: { granted?: readonly number[] } } | null)?.packet?.granted ?? [];
    if (codes.some((code) => code >= 128)) return false;
    throw error;
  }
}
