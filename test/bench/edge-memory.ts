/**
 * Whether the agent's memory stays flat: resident megabytes at 1,000 messages a second, between shipments and while they are
 * encoded, and the slope of it.
 */
import { systemClock } from '@varve/common/clock.js';
import { Installation } from '../installation.js';
import type { Owner } from '../processes.js';
import { withOwner, type BenchOptions } from './bench-run.js';
import type { PlainMessage } from './mqtt-packets.js';
import { PacedBroker } from './paced-broker.js';
import { plantMessages, plantStreams } from './plant-messages.js';
import { readUsage } from './process-usage.js';
import { verdict, type Report } from './report.js';
import { median, percentile, slope, type Sample } from './statistics.js';

const perSecond = 1_000;
const sampleEveryMs = 100;
const betweenMbMax = 110;
const encodingMbMax = 150;
/** The heap finds its size in the beginning: the slope is that of the rest. */
const settlingShare = 1 / 3;
const loopMessages = 60_000;
const msPerHour = 3_600_000;

interface Watched {
  /** x: ms since the start; y: resident MB. */
  readonly between: readonly Sample[];
  readonly encoding: readonly Sample[];
  readonly encodings: number;
  readonly peakMb: number;
}

export async function benchEdgeMemory({ minutes, note }: BenchOptions): Promise<Report> {
  note(`edge-memory: ${minutes} minutes`);
  const { between, encoding, encodings, peakMb } = await withOwner((owner) => watchAgent(owner, minutes));
  const rows = [
    ['between shipments', ...describe(between), betweenMbMax],
    ['while encoding', ...describe(encoding), encodingMbMax],
  ];
  const settled = between.filter(({ x }) => x > minutes * 60_000 * settlingShare);
  const mbPerHour = slope(settled) * msPerHour;
  const highest = (samples: readonly Sample[]) => Math.max(...samples.map(({ y }) => y));
  return {
    bench: 'edge-memory',
    tables: [
      {
        title: `Resident MB, ${perSecond} messages/s for ${minutes} minutes, ${encodings} times encoded`,
        columns: ['', 'median', 'p99', 'highest', 'budget'],
        rows,
      },
    ],
    findings: [
      `slope between shipments, after the first third: ${mbPerHour.toFixed(1)} MB/h`,
      `between shipments at most ${highest(between).toFixed(0)} MB, target ≤ ${betweenMbMax}: ${verdict(highest(between) <= betweenMbMax)}`,
      `highest ever ${peakMb.toFixed(0)} MB, target while encoding ≤ ${encodingMbMax}: ${verdict(peakMb <= encodingMbMax)}`,
    ],
  };
}

function describe(samples: readonly Sample[]): number[] {
  const values = samples.map(({ y }) => y);
  return [median(values), percentile(values, 99), Math.max(...values)];
}

async function watchAgent(owner: Owner, minutes: number): Promise<Watched> {
  const broker = await PacedBroker.start(owner);
  const installation = await Installation.create(owner, {
    brokerUrl: broker.url,
    streams: plantStreams,
    isBench: true,
    ship: { every: '10s' },
  });
  installation.startAgent();
  await broker.subscribed();
  const done = new AbortController();
  const sampling = sampleAgent(installation, done.signal);
  try {
    await broker.send(endlessly(plantMessages(loopMessages), minutes * 60 * perSecond), perSecond);
  } finally {
    done.abort();
  }
  return await sampling;
}

/** The encoder has a thread while there is work for it: whatever else starts threads does so once, and early. */
async function sampleAgent(installation: Installation, signal: AbortSignal): Promise<Watched> {
  const pid = installation.agent?.pid ?? 0;
  const samples: (Sample & { readonly threads: number })[] = [];
  const startedMs = systemClock.monotonicMs();
  while (!signal.aborted) {
    const { residentMb, threads } = readUsage(pid);
    samples.push({ x: systemClock.monotonicMs() - startedMs, y: residentMb, threads });
    await systemClock.sleep(sampleEveryMs);
  }
  const usualThreads = median(samples.map(({ threads }) => threads));
  const isEncoding = ({ threads }: { readonly threads: number }) => threads > usualThreads;
  return {
    between: samples.filter((sample) => !isEncoding(sample)),
    encoding: samples.filter(isEncoding),
    encodings: samples.filter((sample, at) => isEncoding(sample) && !isEncoding(samples[at - 1] ?? sample))
      .length,
    peakMb: readUsage(pid).peakResidentMb,
  };
}

function* endlessly(messages: readonly PlainMessage[], count: number): Generator<PlainMessage> {
  for (let index = 0; index < count; index++) {
    const message = messages[index % messages.length];
    if (message) yield message;
  }
}
