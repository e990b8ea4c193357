import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { BufferLimits } from './buffer-config.js';
import {
  planRelease,
  planRelief,
  resumeFreeBytes,
  roomBytes,
  type BufferState,
  type BufferUsage,
} from './plan-relief.js';

const nowMs = Date.UTC(2026, 10, 22);
const stop: BufferLimits = {
  bytesMax: 1_000,
  ageMaxMs: undefined,
  keepFreeBytes: 100,
  onFull: 'stop_reading',
};
const drop: BufferLimits = { ...stop, onFull: 'drop_oldest' };
const aged = (limits: BufferLimits): BufferLimits => ({ ...limits, ageMaxMs: 60_000 });
const usage = (some: Partial<BufferUsage> = {}): BufferUsage => ({
  ...{
    bytes: 0,
    keptBytes: 0,
    freeBytes: 2 * resumeFreeBytes,
    reusableBytes: 0,
    oldestWaitingMs: undefined,
    nowMs,
    isDiskFull: false,
  },
  ...some,
});
const waiting = (ms: number) => ({ oldestWaitingMs: nowMs - ms });

const cases: [string, Partial<BufferUsage>, BufferLimits, BufferState, BufferState, RegExp?][] = [
  ['room', {}, stop, 'collecting', 'collecting'],
  ['just room', { bytes: 999 }, stop, 'collecting', 'collecting'],
  ['the size', { bytes: 1_000 }, stop, 'collecting', 'stopped', /max_size/],
  ['the size, still', { bytes: 901 }, stop, 'stopped', 'stopped', /max_size/],
  ['clearly room again', { bytes: 899 }, stop, 'stopped', 'collecting'],
  ['the size, dropping', { bytes: 1_000 }, drop, 'collecting', 'dropping', /max_size/],
  ['dropping until it is worth it', { bytes: 951 }, drop, 'dropping', 'dropping', /max_size/],
  ['dropped enough', { bytes: 949 }, drop, 'dropping', 'collecting'],
  ['nothing was left to drop: tried again', { bytes: 1_000 }, drop, 'stopped', 'dropping', /max_size/],
  ['little free', { freeBytes: 99 }, stop, 'collecting', 'stopped', /keep_free/],
  ['room inside the file counts', { freeBytes: 50, reusableBytes: 50 }, stop, 'collecting', 'collecting'],
  ['little free, still', { freeBytes: resumeFreeBytes + 109 }, stop, 'stopped', 'stopped', /keep_free/],
  ['free again', { freeBytes: resumeFreeBytes + 111 }, stop, 'stopped', 'collecting'],
  ['little free, dropping', { freeBytes: 99 }, drop, 'collecting', 'dropping', /keep_free/],
  ['a refused write', { isDiskFull: true }, stop, 'collecting', 'stopped', /refused/],
  [
    'a refused write is not mended by dropping',
    { isDiskFull: true },
    drop,
    'collecting',
    'stopped',
    /refused/,
  ],
  ['age without a limit', waiting(1e9), stop, 'collecting', 'collecting'],
  ['young', waiting(59_999), aged(stop), 'collecting', 'collecting'],
  ['old', waiting(60_000), aged(stop), 'collecting', 'stopped', /max_age/],
  ['old, dropping', waiting(60_000), aged(drop), 'collecting', 'dropping', /max_age/],
  ['young enough again', waiting(53_000), aged(stop), 'stopped', 'collecting'],
  [
    'old by a clock that is not trusted',
    { ...waiting(1e6), nowMs: undefined },
    aged(drop),
    'collecting',
    'collecting',
  ],
  ['a clock that was not set', { oldestWaitingMs: 5_000 }, aged(drop), 'collecting', 'collecting'],
];
for (const [what, some, limits, before, after, reason] of cases)
  test(`${what}: from ${before} to ${after}`, () => {
    const relief = planRelief(usage(some), limits, before);
    assert.equal(relief.state, after);
    assert.match(relief.reason ?? '', reason ?? /^$/);
    assert.equal(relief.dropBeforeMs !== undefined, what === 'old, dropping');
  });

test('of size and disk the smaller is the room', () => {
  assert.equal(roomBytes(usage({ bytes: 400 }), stop), 600);
  assert.equal(roomBytes(usage({ freeBytes: 150, reusableBytes: 20 }), stop), 70);
  assert.equal(roomBytes(usage({ freeBytes: 0 }), stop), 0);
});

const releases: [string, Partial<BufferUsage>, number][] = [
  ['nothing while there is room', { bytes: 899, keptBytes: 500 }, 0],
  ['what is kept, a little at a time', { bytes: 900, keptBytes: 500 }, 20],
  ['no more than is kept', { bytes: 990, keptBytes: 7 }, 7],
  ['for others on the disk', { freeBytes: resumeFreeBytes + 60, reusableBytes: 20, keptBytes: 500 }, 30],
];
for (const [what, some, bytes] of releases)
  test(`before anything else goes: ${what}`, () =>
    assert.equal(Math.round(planRelease(usage(some), stop)), bytes));
test('what is kept is room', () => assert.equal(roomBytes(usage({ bytes: 900, keptBytes: 500 }), stop), 600));
