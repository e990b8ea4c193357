/** Messages that carry a number, and the streams that take them. */
import { strict as assert } from 'node:assert';
import type { StreamConfig } from '@varve/edge-agent/config.js';
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

/** The second is dropped first. */
export const streams: readonly StreamConfig[] = ['pressure', 'vibration'].map((name, index) => {
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
  return { ...stream, priority: 1 - index, aggregates: index === 0 ? [aggregate] : [] };
});

export function makeMessage(id: number, random: () => number): FakeMessage {
  const topic = random() < 0.05 ? nobodysTopic : (streams[random() < 0.6 ? 0 : 1]?.name ?? nobodysTopic);
  const text = random() < 0.05 ? `not JSON ${id}` : `{"id":${id},"ts":${timeMsOf(id)}}`;
  return { id, topic, payload: Buffer.from(text), qos: random() < 0.05 ? 0 : 1 };
}

/** Each its own, in an order of their own, around when the simulation begins. */
function timeMsOf(id: number): number {
  return beginsMs + ((id * 37) % 101) * 130;
}

export function idOf(payload: Uint8Array): number {
  return Number(/\d+/.exec(Buffer.from(payload).toString())?.[0] ?? 0);
}
