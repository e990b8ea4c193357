import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { systemClock, type Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import type { BootState, BootTrust } from '../log/boots.js';
import { ClockWatch, readOffsetMs, type ClockWatchOptions } from './clock-watch.js';

const nowMs = Date.UTC(2026, 10, 22);

function watchOf(options: Partial<ClockWatchOptions> & { readonly known?: BootState } = {}) {
  const world = { monotonicMs: 5_000, offsetMs: 1_000, isStoreAway: false, isDiskFull: false };
  const evidence = { isSynchronised: false, hasTimesync: true, hardwareMs: undefined };
  const trusts: BootTrust[] = [];
  let changes = 0;
  const requireRoom = () => {
    if (world.isDiskFull) throw new Failure('disk_full', 'planted');
  };
  const watch = new ClockWatch({
    config: { trust: 'auto', patienceMs: 60_000 },
    bootId: 'one',
    log: {
      beginBoot: async () => {
        await Promise.resolve();
        requireRoom();
        return options.known ?? { boot: 1, offsetMs: null, trustedMs: null };
      },
      trustBoot: async (trust) => {
        await Promise.resolve();
        requireRoom();
        trusts.push(trust);
      },
    },
    clock: {
      ...systemClock,
      monotonicMs: () => world.monotonicMs,
      nowMs: () => world.monotonicMs + world.offsetMs,
    },
    readEvidence: () => Promise.resolve(evidence),
    isStoreAway: () => world.isStoreAway,
    onChange: () => changes++,
    logger: silentLogger(),
    ...options,
  });
  return { watch, world, evidence, trusts, changes: () => changes };
}

test('nothing waits for a clock that is right from the start', async () => {
  const { watch, world, evidence, trusts } = watchOf();
  evidence.hasTimesync = false;
  world.offsetMs = nowMs;
  await watch.look();
  assert.equal(watch.blockClock().isTrusted, false, 'not before it is durable');
  assert.equal(await watch.settle(), true);
  assert.deepEqual(trusts, [{ boot: 1, offsetMs: nowMs, trustedMs: nowMs + 5_000 }]);
  assert.deepEqual(watch.blockClock(), { boot: 1, offsetMs: nowMs, isTrusted: true });
  assert.equal(watch.trustedNowMs(), nowMs + 5_000);
  assert.equal(await watch.settle(), false, 'once');
});

test('rows wait for the clock, and go when it is set', async () => {
  const { watch, world, changes } = watchOf();
  await watch.look();
  assert.deepEqual([watch.isClosed, watch.mustWait(1), watch.facts().state], [true, true, 'waiting']);
  assert.equal(watch.mustWait(2), false, 'a boot that is over can tell nothing more');
  assert.equal(watch.trustedNowMs(), undefined);
  assert.equal(await watch.settle(), false);
  world.offsetMs = nowMs;
  await watch.look();
  assert.equal(changes(), 1);
  assert.equal(await watch.settle(), true);
  const { state, basis, steps, lastStep } = watch.facts();
  assert.deepEqual([state, basis, steps, lastStep?.byMs], ['trusted', 'set', 1, nowMs - 1_000]);
  assert.equal(watch.mustWait(1), false);
});

test('patience ends; an absent store gives more of it', async () => {
  const { watch, world, changes } = watchOf();
  await watch.look();
  world.monotonicMs += 59_999;
  await watch.look();
  assert.equal(watch.facts().state, 'waiting');
  world.monotonicMs++;
  await watch.look();
  assert.deepEqual([watch.facts().state, watch.mustWait(1), changes()], ['untrusted', false, 1]);
  world.isStoreAway = true;
  await watch.look();
  assert.equal(watch.mustWait(1), true);
  world.isStoreAway = false;
  world.monotonicMs += 30_000;
  await watch.look();
  assert.equal(watch.mustWait(1), true);
  world.monotonicMs += 30_000;
  await watch.look();
  assert.equal(watch.mustWait(1), false);
});

test('a clock that was trusted in this boot is trusted after a restart', async () => {
  const { watch, trusts } = watchOf({ known: { boot: 7, offsetMs: nowMs, trustedMs: nowMs } });
  await watch.look();
  assert.deepEqual([watch.facts().state, watch.facts().basis, trusts], ['trusted', 'this boot', []]);
  assert.equal(await watch.settle(), false);
});

test('a trusted clock is followed, forwards and back', async () => {
  const { watch, world } = watchOf({ known: { boot: 7, offsetMs: nowMs, trustedMs: nowMs } });
  for (const offsetMs of [nowMs + 86_400_000, nowMs - 86_400_000]) {
    world.offsetMs = offsetMs;
    await watch.look();
    assert.equal(watch.nowMs(), offsetMs + 5_000);
    assert.equal(watch.blockClock().offsetMs, offsetMs);
  }
  assert.equal(watch.facts().steps, 2);
});

test('a full disk keeps neither the agent from starting nor the clock from being trusted later', async () => {
  const { watch, world, evidence } = watchOf();
  world.isDiskFull = true;
  await watch.look();
  assert.equal(watch.blockClock().boot, 0);
  assert.match(watch.facts().reason ?? '', /cannot be written down/);
  world.isDiskFull = false;
  evidence.isSynchronised = true;
  await watch.look();
  world.isDiskFull = true;
  await assert.rejects(watch.settle(), /planted/);
  assert.equal(watch.facts().state, 'waiting');
  world.isDiskFull = false;
  assert.equal(await watch.settle(), true);
});

test('a process that is held up between two readings is no step of the clock', () => {
  let reads = 0;
  const slow: Pick<Clock, 'monotonicMs' | 'nowMs'> = {
    monotonicMs: () => (reads++ === 0 ? 1_000 : 61_000),
    nowMs: () => nowMs + 61_000,
  };
  assert.equal(readOffsetMs(slow), nowMs);
});
