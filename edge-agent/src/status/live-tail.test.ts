import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { Router } from '../decode/router.js';
import { streamOf } from '../decode/streams.test.fixture.js';
import { LiveTail } from './live-tail.js';

function start() {
  const router = new Router([streamOf()]);
  const tail = new LiveTail(router, ['environment']);
  let seq = 0;
  const route = (payload: string) =>
    router.route(
      {
        ...{ seq: ++seq, source: 'plant', topic: 'plant/a', arrivedMs: 1_000, arrivedUs: 1_000_000 },
        packetId: 0,
        payload: Buffer.from(payload),
      },
      new Map(),
    );
  return { router, tail, route };
}

test('nobody listens to the router while nobody watches', async () => {
  const { router, tail } = start();
  assert.equal(router.listener, undefined);
  const watcher = tail.watch(undefined);
  assert.equal(router.listener, tail);
  watcher.destroy();
  await once(watcher, 'close');
  assert.equal(router.listener, undefined);
});

test('who reads slowly loses lines, is told how many, and the agent holds a bounded number of bytes', async () => {
  const { tail, route } = start();
  const watcher = tail.watch('environment').setEncoding('utf8');
  for (let n = 0; n < 20_000; n++) route(`{"n":${n}}`);
  assert(watcher.readableLength < 300_000, `${watcher.readableLength} bytes are held`);
  let text = '';
  watcher.on('data', (chunk: string) => (text += chunk));
  const isTold = () => /"dropped":\d+/.test(text);
  while (!isTold()) {
    route('{"n":-1}');
    await new Promise(setImmediate);
  }
  const lines = text.trim().split('\n');
  const dropped = Number(/"dropped":(\d+)/.exec(text)?.[1]);
  const shown = lines.filter((line) => /"n":\d/.test(line)).length;
  assert.equal(shown + dropped >= 20_000, true, `${shown} shown, ${dropped} dropped`);
  watcher.destroy();
});

test('there are few watchers, and only of streams that exist', () => {
  const { tail } = start();
  assert.throws(
    () => tail.watch('pressure'),
    (error) => isFailure(error, 'bad_param'),
  );
  for (let n = 0; n < 4; n++) tail.watch(undefined);
  assert.throws(
    () => tail.watch(undefined),
    (error) => isFailure(error, 'overloaded'),
  );
});
