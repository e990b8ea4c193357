/**
 * What an SD card lives on: bytes written and fsyncs per message, of the agent's log and of one SQLite row per message; and
 * what grouping costs in time, from a PUBLISH sent to the agent's PUBACK.
 *
 * Bytes are what Linux counts as written by the process (`/proc/<pid>/io`): whole pages, checkpoints included.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Installation, temporaryFolder } from '../installation.js';
import { startNode, waitFor, type Owner } from '../processes.js';
import { withOwner, type BenchOptions } from './bench-run.js';
import { PacedBroker } from './paced-broker.js';
import { plantMessages, plantStreams } from './plant-messages.js';
import { readUsage } from './process-usage.js';
import { verdict, type Cell, type Report } from './report.js';
import { median, percentile } from './statistics.js';

const rates = [100, 1_000] as const;
const seconds = 10;
const ratioTarget = 1 / 5;
/** The default of the agent in the middle. */
const groupDelays = ['20ms', '50ms', '100ms'] as const;

interface Writes {
  readonly bytesPerMessage: number;
  readonly fsyncsPerMessage: number;
  readonly latenciesMs?: readonly number[];
}

export async function benchEdgeWrites({ note }: BenchOptions): Promise<Report> {
  const rows: Cell[][] = [];
  const findings: string[] = [];
  for (const perSecond of rates) {
    note(`edge-writes at ${perSecond} messages/s`);
    const baseline = await withOwner((owner) => measureRowLog(owner, perSecond, 0));
    const measured: (readonly [string, Writes])[] = [
      ['a row per message, each its transaction', baseline],
      ['a row per message, groups of 50 ms', await withOwner((owner) => measureRowLog(owner, perSecond, 50))],
    ];
    for (const delay of groupDelays)
      measured.push([`agent's log, groups of ${delay}`, await measureLog(perSecond, delay)]);
    measured.push(['whole agent, shipping every 2 s to a folder', await measureWhole(perSecond)]);
    for (const [what, writes] of measured) rows.push(rowOf(perSecond, what, writes, baseline));
    for (const [what, { bytesPerMessage }] of measured.slice(2, 2 + groupDelays.length)) {
      const ratio = bytesPerMessage / baseline.bytesPerMessage;
      findings.push(
        `${perSecond} messages/s, ${what}: ${ratio.toFixed(3)} of the bytes of a row per message, target ≤ ${ratioTarget}: ${verdict(ratio <= ratioTarget)}`,
      );
    }
  }
  const columns = [
    'messages/s',
    'written by',
    'bytes/message',
    'ratio',
    'fsyncs/message',
    'PUBACK ms: median',
    'p99',
  ];
  const title = `Payloads of the demo, paced evenly for ${seconds} s`;
  return { bench: 'edge-writes', tables: [{ title, columns, rows }], findings };
}

function rowOf(perSecond: number, what: string, writes: Writes, baseline: Writes): Cell[] {
  const { bytesPerMessage, fsyncsPerMessage, latenciesMs } = writes;
  const latencies = latenciesMs ? [median(latenciesMs), percentile(latenciesMs, 99)] : ['', ''];
  const ratio = bytesPerMessage / baseline.bytesPerMessage;
  return [String(perSecond), what, bytesPerMessage, ratio, fsyncsPerMessage, ...latencies];
}

async function measureRowLog(owner: Owner, perSecond: number, groupMs: number): Promise<Writes> {
  const script = fileURLToPath(new URL('./row-log.js', import.meta.url));
  const path = join(temporaryFolder(owner), 'rows.sqlite');
  const program = startNode(owner, script, [path, ...[perSecond, seconds, groupMs].map(String)]);
  const { code } = await program.exited;
  if (code !== 0) throw new Error(`row-log failed:\n${program.output}`);
  const { writtenBytes, commits } = JSON.parse(program.stdout) as { writtenBytes: number; commits: number };
  const messages = perSecond * seconds;
  return { bytesPerMessage: writtenBytes / messages, fsyncsPerMessage: commits / messages };
}

/** Nothing is shipped within the time: what is written is the log. */
function measureLog(perSecond: number, delay: string): Promise<Writes> {
  const log = { group: { max_delay: delay } };
  return withOwner((owner) => measureAgent(owner, perSecond, { ship: { every: '1h' }, log }));
}

function measureWhole(perSecond: number): Promise<Writes> {
  return withOwner((owner) => measureAgent(owner, perSecond, { ship: { every: '2s' } }));
}

async function measureAgent(owner: Owner, perSecond: number, options: object): Promise<Writes> {
  const broker = await PacedBroker.start(owner);
  const installation = await Installation.create(owner, {
    brokerUrl: broker.url,
    streams: plantStreams,
    isBench: true,
    ...options,
  });
  installation.startAgent();
  await broker.subscribed();
  await waitFor('the agent to answer', () => readFsyncs(installation));
  const pid = installation.agent?.pid ?? 0;
  // Opens the shipments' way once, and writes what is written once only.
  await broker.send(plantMessages(100), 100);
  const before = { bytes: readUsage(pid).writtenBytes, fsyncs: await readFsyncs(installation) };
  const messages = perSecond * seconds;
  const latenciesMs = await broker.send(plantMessages(messages), perSecond);
  const after = { bytes: readUsage(pid).writtenBytes, fsyncs: await readFsyncs(installation) };
  await installation.agent?.stop();
  return {
    bytesPerMessage: (after.bytes - before.bytes) / messages,
    fsyncsPerMessage: ((after.fsyncs ?? NaN) - (before.fsyncs ?? NaN)) / messages,
    latenciesMs,
  };
}

async function readFsyncs(installation: Installation): Promise<number | undefined> {
  return await installation.agentMetric('varve_edge_fsync_total');
}
