/** Messages that carry a number, and the streams that take them. */
import { strict as assert } from 'node:assert';
import type { StreamConfig } from '@varve/edge-agent/config.js';
import { parseTopicTemplate } from '@varve/edge-agent/decode/topic-template.js';

/** Its topic: the name of the stream that takes it, or of none. */
export type Stream = string;

export interface FakeMessage {
  readonly id: number;
  readonly topic: Stream;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
}

export const nobodysTopic = 'nobody';

/** The second is dropped first. */
export const streams: readonly StreamConfig[] = ['pressure', 'vibration'].map((name, index) => {
  const topic = parseTopicTemplate(name);
  assert(typeof topic !== 'string');
  const stream = {
    name,
    topic,
    database: 'main',
    format: 'json',
    time: undefined,
    fields: undefined,
  } as const;
  return { ...stream, priority: 1 - index };
});

export function makeMessage(id: number, random: () => number): FakeMessage {
  const topic = random() < 0.05 ? nobodysTopic : (streams[random() < 0.6 ? 0 : 1]?.name ?? nobodysTopic);
  const text = random() < 0.05 ? `not JSON ${id}` : `{"id":${id}}`;
  return { id, topic, payload: Buffer.from(text), qos: random() < 0.05 ? 0 : 1 };
}

export function idOf(payload: Uint8Array): number {
  return Number(/\d+/.exec(Buffer.from(payload).toString())?.[0] ?? 0);
}
