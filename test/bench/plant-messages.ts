/** Messages of the demo's plant: about 85 bytes of JSON on 60 topics. */
import { Plant } from '@varve/deploy/dist/demo/plant.js';
import type { PlainMessage } from './mqtt-packets.js';

const seed = 1;
const startMs = Date.UTC(2026, 0, 1);
const stepMs = 500;

/** The first `count` messages since a day that is always the same. */
export function plantMessages(count: number): PlainMessage[] {
  const plant = new Plant(seed, startMs);
  const messages: PlainMessage[] = [];
  for (let nowMs = startMs; messages.length < count; nowMs += stepMs)
    messages.push(...plant.readUntil(nowMs));
  return messages.slice(0, count);
}

/** What takes these messages, as `streams:` in the agent's configuration. */
export const plantStreams = {
  environment: {
    topic: 'plant/{site}/{device}/environment',
    format: 'json',
    time: { path: 'ts', unit: 'ms' },
  },
  vibration: { topic: 'plant/{site}/{device}/vibration', format: 'json', time: { path: 'ts', unit: 'ms' } },
  energy: { topic: 'plant/{site}/{device}/energy', format: 'json', time: { path: 'ts', unit: 'ms' } },
};
