import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Plant, type Message } from './plant.js';

const startMs = Date.UTC(2026, 0, 1);

function tenSeconds(seed: number): Message[] {
  const plant = new Plant(seed, startMs);
  return Array.from({ length: 200 }, (_, tick) => plant.readUntil(startMs + (tick + 1) * 50 - 1)).flat();
}

function values(payload: string): Record<string, unknown> {
  return JSON.parse(payload) as Record<string, unknown>;
}

test('sends a hundred messages a second: three kinds of twenty devices in three sites', () => {
  const messages = tenSeconds(1);
  assert.equal(messages.length, 1_000);
  const parts = messages.map(({ topic }) => topic.split('/'));
  const distinct = (index: number) => new Set(parts.map((part) => part[index])).size;
  assert.deepEqual([distinct(1), distinct(2), distinct(3)], [3, 20, 3]);
});

test('every kind has its fields, and the time the message is for', () => {
  const fieldsOf = (kind: string) => {
    const message = tenSeconds(1).find(({ topic }) => topic.endsWith(`/${kind}`));
    return Object.keys(values(message?.payload ?? '{}'));
  };
  assert.deepEqual(fieldsOf('environment'), ['ts', 'temperature', 'humidity', 'pressure']);
  assert.deepEqual(fieldsOf('vibration'), ['ts', 'rms', 'peak', 'running']);
  assert.deepEqual(fieldsOf('energy'), ['ts', 'power', 'voltage', 'current', 'total']);
});

test('times go up for every topic, and no two of a topic are the same', () => {
  const last = new Map<string, number>();
  for (const { topic, payload } of tenSeconds(1)) {
    const ts = values(payload).ts as number;
    assert.ok(Number.isInteger(ts) && ts > (last.get(topic) ?? 0), `${topic} ${ts}`);
    last.set(topic, ts);
  }
});

test('one seed is one course of values, another seed another', () => {
  assert.deepEqual(tenSeconds(1), tenSeconds(1));
  assert.notDeepEqual(tenSeconds(1), tenSeconds(2));
});

test('a temperature changes little from one reading to the next and stays in its limits', () => {
  const temperatures = tenSeconds(1)
    .filter(({ topic }) => topic === 'plant/hall/hall-1/environment')
    .map(({ payload }) => values(payload).temperature as number);
  assert.equal(temperatures.length, 10);
  for (const [index, celsius] of temperatures.entries()) {
    assert.ok(celsius >= 14 && celsius <= 38);
    assert.ok(Math.abs(celsius - (temperatures[index - 1] ?? celsius)) <= 0.07);
  }
});

test('what a pause of the process left out is not made up for', () => {
  const plant = new Plant(1, startMs);
  assert.ok(plant.readUntil(startMs + 3_600_000).length <= 1);
  assert.ok(plant.readUntil(startMs - 3_600_000).length <= 1, 'a clock set back is followed');
});
