import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '@varve/common/clock.js';
import { leasePrefix } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { Registry } from '@varve/common/metrics.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { Lease } from './lease.js';

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'varve-lease-'));
});
after(() => rm(dir, { recursive: true, force: true }));

/** Time passes when the test says so: a second at a time, everything that is due then happens. */
class TestClock implements Clock {
  #ms = 0;
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();

  nowMs = () => 0;
  monotonicMs = () => this.#ms;

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const callOff = this.after(ms, resolve);
      signal?.addEventListener('abort', () => {
        callOff();
        resolve();
      });
    });
  }

  after(ms: number, wake: () => void): () => void {
    const sleeper = { untilMs: this.#ms + ms, wake };
    this.#sleepers.add(sleeper);
    return () => this.#sleepers.delete(sleeper);
  }

  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      this.#ms += 1_000;
      for (const sleeper of [...this.#sleepers])
        if (sleeper.untilMs <= this.#ms) {
          this.#sleepers.delete(sleeper);
          sleeper.wake();
        }
      for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    }
  }
}

interface Running {
  readonly lease: Lease;
  /** Whether the loop under the lease runs. */
  works: boolean;
  stop(): Promise<void>;
}

const clock = new TestClock();

async function start(store: MemoryStore, name: string): Promise<Running> {
  const dataDir = join(dir, name);
  await mkdir(dataDir, { recursive: true });
  const common = { clock, log: silentLogger(), registry: new Registry() };
  const lease = await Lease.open({ ...common, store, dataDir });
  const end = new AbortController();
  const running: Running = {
    lease,
    works: false,
    async stop() {
      end.abort();
      await Promise.all(loops);
    },
  };
  const work = lease.whileHeld(async (stop) => {
    running.works = true;
    while (!stop.aborted) await clock.sleep(1_000, stop);
    running.works = false;
  });
  const loops = [lease.run(end.signal), work(end.signal)];
  await clock.pass(1);
  return running;
}

test('one works, the other takes over when it stops, within seconds', async () => {
  const store = new MemoryStore();
  const [first, second] = [await start(store, 'a1'), await start(store, 'a2')];
  await clock.pass(60);
  assert.deepEqual([first.works, second.works], [true, false]);
  await first.stop();
  await first.lease.release();
  await clock.pass(5);
  assert.deepEqual([first.works, second.works], [false, true]);
  await second.stop();
});

test('one that is dead is followed after ten seconds; one that comes back to its own does not wait', async () => {
  const store = new MemoryStore();
  const [first, second] = [await start(store, 'b1'), await start(store, 'b2')];
  await first.stop();
  const again = await start(store, 'b1');
  assert(again.works, 'its own former term');
  await again.stop();
  await clock.pass(6);
  assert(!second.works, 'it may be alive');
  await clock.pass(10);
  assert(second.works);
  await second.stop();
});

test('one that was frozen, or cut off, loses it, and learns of the next term', async () => {
  const store = new MemoryStore();
  const [first, second] = [await start(store, 'c1'), await start(store, 'c2')];
  store.faults.before = (operation, key) => {
    if (operation === 'put' && key.startsWith(leasePrefix)) throw new Failure('store_unavailable', 'planted');
  };
  await clock.pass(30);
  store.faults.before = undefined;
  await clock.pass(10);
  assert.equal([first, second].filter(({ works }) => works).length, 1, 'one of them works again');
  await first.stop();
  await second.stop();
});

test('of ten that start at once one works, and one term is left', async () => {
  const store = new MemoryStore();
  const all = await Promise.all(Array.from({ length: 10 }, (_, index) => start(store, `d${index}`)));
  await clock.pass(30);
  assert.equal(all.filter(({ works }) => works).length, 1);
  const keys: string[] = [];
  for await (const { key } of store.list(leasePrefix)) keys.push(key);
  assert.equal(keys.length, 1);
  for (const running of all) await running.stop();
});

test('it costs two requests every four seconds, for the holder and for who waits', async () => {
  const store = new MemoryStore();
  const [first, second] = [await start(store, 'e1'), await start(store, 'e2')];
  await clock.pass(20);
  let requests = 0;
  store.faults.before = () => {
    requests += 1;
  };
  await clock.pass(400);
  assert(requests <= 2 * 200 + 8 && requests > 300, `${requests} in 400 s`);
  await first.stop();
  await second.stop();
});
