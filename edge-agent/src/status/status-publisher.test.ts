import { strict as assert } from 'node:assert';
import { test, type TestContext } from 'node:test';
import { systemClock, type Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { planPutInMs, StatusPublisher } from './status-publisher.js';

test('the first is put at once', () =>
  assert.equal(planPutInMs({ nowMs: 5, lastTryMs: undefined, hasNews: false }), 0));
test('without news it is put every minute', () =>
  assert.equal(planPutInMs({ nowMs: 20_000, lastTryMs: 5_000, hasNews: false }), 45_000));
test('news waits until ten seconds have passed', () =>
  assert.equal(planPutInMs({ nowMs: 8_000, lastTryMs: 5_000, hasNews: true }), 7_000));
test('news after a while is put at once', () =>
  assert.equal(planPutInMs({ nowMs: 16_000, lastTryMs: 5_000, hasNews: true }), 0));

/** A thousand times as fast: a minute is 60 ms. */
const fastClock: Clock = {
  ...systemClock,
  monotonicMs: () => systemClock.monotonicMs() * 1_000,
  sleep: (ms, signal) => systemClock.sleep(ms / 1_000, signal),
};
const key = 'agents/press/status.json';

function publish(context: TestContext, { isLineOpen = true } = {}) {
  const puts: string[] = [];
  const store = new MemoryStore({ faults: { before: (operation) => void puts.push(operation) } });
  let reads = 0;
  const publisher = new StatusPublisher({
    key,
    read: () => Promise.resolve({ agent: 'press', reads: ++reads }),
    reachableStore: () => store,
    isLineOpen: () => isLineOpen,
    clock: fastClock,
    logger: silentLogger(),
  });
  const stop = new AbortController();
  const running = publisher.run(stop.signal);
  context.after(async () => {
    stop.abort();
    await running;
  });
  return { publisher, store, puts, stop, running };
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1_000 && !condition(); tries++) await systemClock.sleep(5);
  assert(condition(), 'in vain');
}

test('the document stands in the store, says when it was written, and is renewed', async (context) => {
  const { store, puts } = publish(context);
  await until(() => puts.length >= 3);
  const document = JSON.parse(Buffer.from(await store.get(key)).toString()) as Record<string, unknown>;
  assert.equal(document['agent'], 'press');
  assert.match(String(document['written_at']), /^\d{4}-.*Z$/);
});

test('a put that fails is left, and the next one goes', async (context) => {
  const { store, puts } = publish(context);
  let failures = 0;
  store.faults.before = (operation) => {
    if (++failures <= 2) throw new Failure('store_unavailable', 'planted');
    puts.push(operation);
  };
  await until(() => puts.length >= 2);
});

test('a put that hangs does not hold up the stop', async (context) => {
  const { store, puts, stop, running } = publish(context);
  await until(() => puts.length >= 1);
  let isHanging = false;
  store.faults.before = () => {
    isHanging = true;
    return new Promise(() => undefined);
  };
  await until(() => isHanging);
  stop.abort();
  await running;
});

test('while the line is to stay closed only news is put', async (context) => {
  const { publisher, puts } = publish(context, { isLineOpen: false });
  await systemClock.sleep(200);
  assert.equal(puts.length, 0);
  publisher.wake();
  await until(() => puts.length === 1);
});
