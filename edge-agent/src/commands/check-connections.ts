/** What `varve-edge check --connect` asks brokers and store, and how it is told. */
import { randomUUID } from 'node:crypto';
import { systemClock } from '@varve/common/clock.js';
import { agentProbeKey } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import { openStore } from '@varve/common/store/open-store.js';
import type { EdgeConfig } from '../config.js';
import { askAgent } from '../status/status-client.js';
import type { EdgeStatus, SourceStatus } from '../status/status.js';
import { tryBroker, type BrokerReport, type TopicReport } from '../source/try-broker.js';

export interface ConnectionsReport {
  readonly brokers: readonly BrokerReport[];
  readonly store: StoreReport;
  /** What the running agent says of its own sessions, by source; null where none runs: only its own name could ask. */
  readonly agent: Readonly<Record<string, AgentSession>> | null;
}

type AgentSession = Pick<SourceStatus, 'connected' | 'session_present'>;

interface StoreReport {
  readonly url: string;
  /** What this machine's credentials may do there is enough for an agent, and "put if absent" holds. */
  readonly proven: boolean;
  readonly problem?: { readonly message: string; readonly hint: string | undefined };
}

export async function checkConnections(
  config: EdgeConfig,
  listenMs: number,
  signal: AbortSignal,
): Promise<ConnectionsReport> {
  const options = { listenMs, clock: systemClock, signal, random: randomUUID().slice(0, 8) };
  const [agent, store, ...brokers] = await Promise.all([
    askSessions(config),
    tryStore(config),
    ...config.sources.map((source) => tryBroker(source, options)),
  ]);
  return { brokers, store, agent };
}

async function askSessions({ listen }: EdgeConfig): Promise<ConnectionsReport['agent']> {
  try {
    const { sources } = (await askAgent(listen, '/status')) as EdgeStatus;
    return Object.fromEntries(
      Object.entries(sources).map(([name, { connected, session_present }]) => [
        name,
        { connected, session_present },
      ]),
    );
  } catch (error) {
    if (error instanceof Failure) return null;
    throw error;
  }
}

async function tryStore({ agent, store: config }: EdgeConfig): Promise<StoreReport> {
  const probeKey = (uuid: string) => agentProbeKey(agent, uuid);
  try {
    const store = await openStore(config, { access: 'put-only', probeKey, clock: systemClock });
    store.close();
    return { url: config.url, proven: true };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { url: config.url, proven: false, problem: { message: error.message, hint: error.hint } };
  }
}

export function isAllWell({ brokers, store }: ConnectionsReport): boolean {
  return store.proven && brokers.every(({ problem }) => problem === undefined);
}

export function describeConnections({ brokers, store, agent }: ConnectionsReport, listenMs: number): string {
  const describe = (report: BrokerReport) => [
    ...describeBroker(report, listenMs),
    ...(report.agreed ? [`  ${describeSession(agent, report.source)}`] : []),
  ];
  const lines = [...brokers.flatMap(describe), ...describeStore(store)];
  return `${lines.join('\n')}\n`;
}

function describeBroker(
  { source, broker, problem, certificate, agreed, topics }: BrokerReport,
  listenMs: number,
): string[] {
  const lines = [`source ${source}  ${broker}`];
  if (agreed) {
    const { protocolVersion, receiveMaximum, maximumPacketBytes, maximumQos } = agreed;
    const limits = [
      `MQTT ${protocolVersion}${protocolVersion === '5' ? '' : ' (it does not know 5)'}`,
      receiveMaximum === null ? [] : `receive maximum ${receiveMaximum} messages`,
      `packets up to ${maximumPacketBytes === null ? 'any size' : `${maximumPacketBytes} bytes`}`,
      `QoS up to ${maximumQos}`,
    ].flat();
    lines.push(`  lets us in: ${limits.join(', ')}`);
    if (maximumQos === 0) lines.push('  QoS 0 only: what it sends while the agent is away is lost');
  }
  if (certificate) {
    const { subject, names, issuer, expires, trusted, problem: why } = certificate;
    lines.push(`  certificate "${subject}" (${names}), issued by "${issuer}", until ${expires}`);
    lines.push(`  ${trusted ? 'trusted' : `not trusted: ${why ?? ''}`}`);
  }
  lines.push(...topics.map((topic) => `  ${describeTopic(topic, listenMs)}`));
  if (problem) lines.push(`  PROBLEM: ${problem.message}`, `    what to do: ${problem.hint}`);
  return lines;
}

function describeSession(agent: ConnectionsReport['agent'], source: string): string {
  if (agent === null)
    return 'the agent does not run: whether the broker keeps its session, only its own connection tells';
  const session = agent[source];
  if (!session?.connected) return 'the running agent is not connected with this source';
  return session.session_present
    ? 'the running agent found its session kept when it connected'
    : 'the running agent began a new session when it connected';
}

function describeTopic(
  { filter, messages, retained, example, refused }: TopicReport,
  listenMs: number,
): string {
  if (refused) return `${filter}  refused`;
  const within = `within ${listenMs / 1_000} s`;
  if (example === null) return `${filter}  nothing ${within}: is the topic right, and does anybody publish?`;
  const kept = retained > 0 ? `, ${retained} of them retained` : '';
  return `${filter}  ${messages} messages ${within}${kept}, such as ${example}`;
}

function describeStore({ url, problem }: StoreReport): string[] {
  if (!problem) return [`store ${url}`, '  takes objects, and "put if absent" is proven'];
  const hint = problem.hint === undefined ? [] : [`    what to do: ${problem.hint}`];
  return [`store ${url}`, `  PROBLEM: ${problem.message}`, ...hint];
}
