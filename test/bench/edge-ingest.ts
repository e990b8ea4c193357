/**
 * How many messages a second the agent makes durable, held against an mqtt.js subscriber that only counts.
 *
 * Both take the same messages from the same Mosquitto at QoS 1 with the same receive maximum, in turns: from a publisher at
 * full speed beside them, and from a backlog that has waited in the broker. Rates run from the first message counted or
 * durable to the last; CPU and memory are of the whole process, its start left out of the CPU.
 */
import { join } from 'node:path';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { connectAsync } from 'mqtt';
import { startMosquitto } from '../brokers.js';
import { Installation, temporaryFolder } from '../installation.js';
import { startNode, startProcess, type Owner, type TestProcess } from '../processes.js';
import { withOwner, type BenchOptions } from './bench-run.js';
import { plantStreams } from './plant-messages.js';
import { readUsage } from './process-usage.js';
import { timeProgress } from './progress-clock.js';
import { verdict, type Cell, type Report } from './report.js';
import { median } from './statistics.js';

const ratioTarget = 0.7;
const limitMs = 120_000;

const kinds = ['counting subscriber', 'agent, all durable'] as const;
type Kind = (typeof kinds)[number];
const scenarios = ['publisher at full speed', 'backlog in the broker'] as const;

interface Broker {
  readonly port: number;
  readonly url: string;
}

/** A process that takes messages, and the way to ask it how many it has. */
interface Taker {
  readonly process: TestProcess;
  readonly clientId: string;
  readonly countMessages: () => Promise<number>;
}

/** Resolves when it is subscribed. */
type StartTaker = (owner: Owner) => Promise<Taker>;

interface Measurement {
  readonly perSecond: number;
  readonly cpuUsPerMessage: number;
  readonly peakResidentMb: number;
}

export async function benchEdgeIngest(options: BenchOptions): Promise<Report> {
  const rows: Cell[][] = [];
  const findings: string[] = [];
  for (const scenario of scenarios) {
    const measured = await measureInTurns(scenario, options);
    const rates = kinds.map((kind) => median(measured[kind].map(({ perSecond }) => perSecond)));
    const [counting = NaN, agent = NaN] = rates;
    for (const [index, kind] of kinds.entries())
      rows.push([
        scenario,
        kind,
        rates[index] ?? NaN,
        (rates[index] ?? NaN) / counting,
        ...costs(measured[kind]),
      ]);
    const ratio = agent / counting;
    findings.push(
      `${scenario}: ${ratio.toFixed(2)} of the counting subscriber, target ≥ ${ratioTarget}: ${verdict(ratio >= ratioTarget)}`,
    );
  }
  const columns = ['', 'taken by', 'messages/s', 'ratio', 'CPU µs/message', 'peak RSS MB'];
  const title = `${options.messages} messages, QoS 1, medians of ${options.runs} runs in turns`;
  return { bench: 'edge-ingest', tables: [{ title, columns, rows }], findings };
}

function costs(measured: readonly Measurement[]): [number, number] {
  return [
    median(measured.map(({ cpuUsPerMessage }) => cpuUsPerMessage)),
    median(measured.map(({ peakResidentMb }) => peakResidentMb)),
  ];
}

async function measureInTurns(
  scenario: (typeof scenarios)[number],
  { runs, messages, note }: BenchOptions,
): Promise<Record<Kind, Measurement[]>> {
  const measured: Record<Kind, Measurement[]> = {
    'counting subscriber': [],
    'agent, all durable': [],
  };
  await withOwner(async (owner) => {
    const broker = await startMosquitto(owner, { dir: join(temporaryFolder(owner), 'mosquitto') });
    const measure = scenario === 'backlog in the broker' ? measureBacklog : measureBeside;
    for (let run = 1; run <= runs; run++)
      for (const kind of kinds) {
        const measurement = await withOwner((inner) => measure(inner, kind, broker, messages));
        measured[kind].push(measurement);
        note(`${scenario}, ${kind}, run ${run}: ${Math.round(measurement.perSecond)} messages/s`);
      }
  });
  return measured;
}

async function measureBeside(
  owner: Owner,
  kind: Kind,
  broker: Broker,
  messages: number,
): Promise<Measurement> {
  const start = kind === 'agent, all durable' ? await installAgent(owner, broker) : startCounter(broker);
  const taker = await start(owner);
  const startCpuUs = readUsage(taker.process.pid).cpuUs;
  const publisher = startPublisher(owner, broker, messages);
  const measurement = await measureTaking(taker, messages, startCpuUs);
  await finish(publisher);
  await leave(broker, taker);
  return measurement;
}

/** The session exists, its client is away, messages come; then the client comes back. */
async function measureBacklog(
  owner: Owner,
  kind: Kind,
  broker: Broker,
  messages: number,
): Promise<Measurement> {
  const start = kind === 'agent, all durable' ? await installAgent(owner, broker) : startCounter(broker);
  const first = await start(owner);
  const startCpuUs = readUsage(first.process.pid).cpuUs;
  await first.process.stop();
  await finish(startPublisher(owner, broker, messages));
  const taker = await start(owner);
  const measurement = await measureTaking(taker, messages, startCpuUs);
  await leave(broker, taker);
  return measurement;
}

async function measureTaking(taker: Taker, messages: number, startCpuUs: number): Promise<Measurement> {
  const perSecond = await timeProgress(messages, limitMs, taker.countMessages);
  const { cpuUs, peakResidentMb } = readUsage(taker.process.pid);
  return { perSecond, cpuUsPerMessage: (cpuUs - startCpuUs) / messages, peakResidentMb };
}

function startCounter({ url }: Broker): StartTaker {
  const clientId = 'bench-counter';
  const script = fileURLToPath(new URL('./counting-subscriber.js', import.meta.url));
  return async (owner) => {
    const process = startProcess(owner, execPath, [script, url, clientId]);
    await process.waitForOutput(/subscribed/);
    const countMessages = () => Promise.resolve(Number(/count (\d+)\n$/.exec(process.stdout)?.[1] ?? 0));
    return { process, clientId, countMessages };
  };
}

async function installAgent(owner: Owner, { url }: Broker): Promise<StartTaker> {
  const installation = await Installation.create(owner, {
    brokerUrl: url,
    streams: plantStreams,
    isBench: true,
    ship: { every: '10s' },
  });
  return async () => {
    installation.startAgent();
    const { agent } = installation;
    if (!agent) throw new Error('no agent was started');
    await agent.waitForOutput(/connected to the broker/, 30_000);
    const countMessages = async () =>
      (await installation.agentMetric('varve_edge_messages_durable_total')) ?? 0;
    return { process: agent, clientId: 'varve-press-hall-3-plant', countMessages };
  };
}

function startPublisher(owner: Owner, { port }: Broker, messages: number): TestProcess {
  const script = fileURLToPath(new URL('./publisher.js', import.meta.url));
  return startNode(owner, script, [String(port), String(messages)]);
}

async function finish(publisher: TestProcess): Promise<void> {
  const { code } = await publisher.exited;
  if (code !== 0) throw new Error(`the publisher failed:\n${publisher.output}`);
}

/** Stops it and ends its session, so that the broker keeps nothing for it. */
async function leave({ url }: Broker, { process, clientId }: Taker): Promise<void> {
  await process.stop();
  const client = await connectAsync(url, { clientId, clean: true, protocolVersion: 5 });
  await client.endAsync();
}
