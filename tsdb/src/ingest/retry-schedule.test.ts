import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { RetrySchedule } from './retry-schedule.js';

function openSchedule() {
  let nowMs = 1_000;
  const logged: string[] = [];
  const log = silentLogger();
  log.warn = (_facts: unknown, message?: string) => void logged.push(message ?? '');
  log.error = log.info = log.warn;
  const clock = { ...systemClock, nowMs: () => nowMs, monotonicMs: () => nowMs };
  const schedule = new RetrySchedule({ policy: { firstMs: 100, maxMs: 400 }, clock, log, random: () => 1 });
  return { schedule, logged, pass: (ms: number) => (nowMs += ms) };
}

const unavailable = (message: string) => new Failure('store_unavailable', message);

test('what fails is tried later and later, up to a limit, and others are not held up', () => {
  const { schedule, pass } = openSchedule();
  const waits: number[] = [];
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    schedule.failed('main.a', unavailable('no route'));
    let waitedMs = 0;
    for (; !schedule.isDue('main.a'); waitedMs += 50) pass(50);
    waits.push(waitedMs);
  }
  assert.deepEqual(waits, [100, 200, 400, 400]);
  assert.ok(schedule.isDue('main.b'));
});

test('a trouble is logged when it begins, changes and ends, and keeps when it began', () => {
  const { schedule, logged, pass } = openSchedule();
  schedule.worked('main.a');
  schedule.failed('main.a', unavailable('no route to 10.0.0.1'));
  pass(50);
  schedule.failed('main.a', unavailable('no route to 10.0.0.2'));
  assert.deepEqual(
    schedule.current().map(({ sinceMs, attempts }) => [sinceMs, attempts]),
    [[1_000, 2]],
  );
  schedule.failed('main.a', new Failure('table_unreadable', 'version 3 is missing'));
  schedule.failed('main.a', new TypeError('undefined is not a function'));
  schedule.worked('main.a');
  schedule.worked('main.a');
  assert.deepEqual(logged, [
    'ingest backs off',
    'ingest cannot go on until this is mended',
    'ingest failed through a fault of ours',
    'ingest works again',
  ]);
  assert.deepEqual(schedule.current(), []);
});
