import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '@varve/common/clock.js';
import { isFailure } from '@varve/common/errors.js';
import { openQuerySignal, stopped, untilAborted } from './query-signal.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const open = (client: AbortSignal, timeoutMs = 60_000) =>
  openQuerySignal({ client, timeoutMs, clock: systemClock });

test('nothing of a query that has ended is held by the signals that it listened to', async () => {
  const client = new AbortController().signal;
  for (let round = 0; round < 3; round++) {
    const signals = Array.from({ length: 50 }, () => open(client));
    for (const { signal } of signals) await untilAborted(Promise.resolve(1), signal, () => undefined);
    // What was made in this turn is kept until its end.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
    for (const one of signals) one.close();
    assert.equal(getEventListeners(client, 'abort').length, 0);
    for (const { signal } of signals) assert.equal(getEventListeners(signal, 'abort').length, 0);
  }
});

test('ends for whoever aborts first, with the reason of it', async () => {
  const [gone, there] = [new AbortController(), new AbortController()];
  const signals = [open(gone.signal), open(there.signal), open(there.signal), open(there.signal, 1)];
  const [first, second, third, fourth] = signals;
  gone.abort();
  second?.abort(stopped());
  second?.abort();
  third?.abort();
  assert.ok(isFailure(first?.signal.reason, 'query_cancelled'));
  assert.ok(isFailure(second?.signal.reason, 'stopping'));
  assert.ok(isFailure(third?.signal.reason, 'query_cancelled'));
  await once(fourth?.signal as AbortSignal, 'abort');
  assert.ok(isFailure(fourth?.signal.reason, 'query_timeout'));
  for (const one of signals) one.close();
});

test('what comes too late is handed back', async () => {
  const client = new AbortController();
  const query = open(client.signal);
  const { signal } = query;
  const late: number[] = [];
  let resolveLate: (value: number) => void = () => undefined;
  const waited = untilAborted(new Promise<number>((resolve) => (resolveLate = resolve)), signal, (value) =>
    late.push(value),
  );
  client.abort();
  await assert.rejects(waited, (error) => isFailure(error, 'query_cancelled'));
  resolveLate(7);
  await assert.rejects(untilAborted(Promise.resolve(8), signal, (value) => late.push(value)));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(late, [7, 8]);
  query.close();
});
