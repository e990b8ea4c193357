/** Messages that carry a number, and the streams that take them. */
import { strict as assert } from 'node:assert';
import type { StreamConfig } from '@varve/edge-agent/config.js';
import type { ReduceConfig } from '@varve/edge-agent/reduce/reduce-config.js';
import { parseTopicTemplate } from '@varve/edge-agent/decode/topic-template.js';

import { beginsMs } from './effects.js';

/** Its topic: the name of the stream that takes it, or of none. */
export type Stream = string;

export interface FakeMessage {
  readonly id: number;
  readonly topic: Stream;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
}

export const nobodysTopic = 'nobody';

/** Of the first stream, which counts its messages by the second as well. */
export const aggregatedTable = 'pressure_1s';
export const aggregateEveryMs = 1_000;

/** Of this stream some rows say nothing new, and are not shipped. */
export const reducedTable = 'flow';
const reduce: ReduceConfig = {
  // Longer than clocks are set back and forth here: what is held leaves for what comes, never for the time that passes.
  heartbeatMs: 1e10,
  rules: new Map([
    ['id', { kind: 'deadband', absolute: 1e9 }],
    ['level', { kind: 'deadband', absolute: 1 }],
    ['drift', { kind: 'swinging_door', deviation: 1 }],
  ]),
};

/** The second is dropped first. */
export const streams: readonly StreamConfig[] = ['pressure', 'vibration', reducedTable].map((name, index) => {
  const topic = parseTopicTemplate(name);
  assert(typeof topic !== 'string');
  const stream = {
    name,
    topic,
    database: 'main',
    format: 'json',
    time: { path: 'ts', unit: 'ms' },
    fields: undefined,
    raw: 'ship',
  } as const;
  const aggregate = { table: aggregatedTable, everyMs: aggregateEveryMs, latenessMs: 200 };
  return {
    ...stream,
    priority: index === 1 ? 0 : 1,
    aggregates: index === 0 ? [aggregate] : [],
    ...(name === reducedTable && { reduce }),
  };
});

/** After somebody mended it: what two names of one column kept from being read can be. */
export const mendedStreams: readonly StreamConfig[] = streams.map((stream) => ({ ...stream, drop: ['X'] }));

/** Of so many messages two names are one column. */
export function makeMessage(id: number, random: () => number, clashShare: number): FakeMessage {
  const topic = random() < 0.05 ? nobodysTopic : (streams[chooseStream(random())]?.name ?? nobodysTopic);
  const text =
    random() < 0.05
      ? `not JSON ${id}`
      : topic === reducedTable
        ? flowOf(id)
        : `{"id":${id},"ts":${timeMsOf(id)}${random() < clashShare ? ',"x":1,"X":2' : ''}}`;
  return { id, topic, payload: Buffer.from(text), qos: random() < 0.05 ? 0 : 1 };
}

function chooseStream(choice: number): number {
  if (choice < 0.4) return 0;
  return choice < 0.65 ? 1 : 2;
}

/** In the order of their numbers, with values that stay for a while. */
function flowOf(id: number): string {
  const level = Math.floor(id / 3) % 5;
  const drift = Math.abs((id % 12) - 6);
  return `{"id":${id},"ts":${beginsMs + id * 130},"level":${level},"drift":${drift}}`;
}

/** Each its own, in an order of their own, around when the simulation begins. */
function timeMsOf(id: number): number {
  return beginsMs + ((id * 37) % 101) * 130;
}

export function idOf(payload: Uint8Array): number {
  return Number(/\d+/.exec(Buffer.from(payload).toString())?.[0] ?? 0);
}
