import { strict as assert } from 'node:assert';
import { test, type TestContext } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import type { NewBlock } from './edge-log.js';
import { GroupCommitter } from './group-committer.js';

/** A committer over a log whose appends the test settles by hand. */
function startCommitter(context: TestContext, limits = { messagesMax: () => 3, bytesMax: 1e6, delayMs: 5 }) {
  const appends: { block: NewBlock; settle: (error?: Failure) => void }[] = [];
  const events: string[] = [];
  const stop = new AbortController();
  const committer = new GroupCommitter<number>({
    ...{ source: 'plant', limits, clock: systemClock },
    log: {
      append: (blocks) =>
        new Promise((resolve, reject) => {
          const [block] = blocks;
          assert(block);
          appends.push({ block, settle: (error) => (error ? reject(error) : resolve([1])) });
        }),
    },
    onDurable: (tickets) => events.push(`durable ${tickets.join(',')}`),
    onFailed: (_, tickets) => events.push(`failed ${tickets.join(',')}`),
  });
  const running = committer.run(stop.signal);
  context.after(() => stop.abort());
  const add = (ticket: number) =>
    committer.add({ topic: 't', payload: Buffer.from('1'), arrivedMs: 1, packetId: 1 }, ticket);
  return { committer, appends, events, add, stop, running };
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    assert(tries < 1_000, 'the condition did not come true');
    await systemClock.sleep(2);
  }
}

test('messages share an append, and are durable only when it is done', async (context) => {
  const { appends, events, add } = startCommitter(context);
  add(1);
  add(2);
  await until(() => appends.length === 1);
  assert.equal(appends[0]?.block.messageCount, 2);
  assert.deepEqual(events, []);
  appends[0].settle();
  await until(() => events.length === 1);
  assert.deepEqual(events, ['durable 1,2']);
});

test('a full block does not wait for its delay', async (context) => {
  const { appends, add } = startCommitter(context, {
    messagesMax: () => 3,
    bytesMax: 1e6,
    delayMs: 3_600_000,
  });
  for (const ticket of [1, 2, 3]) add(ticket);
  await until(() => appends.length === 1);
});

test('blocks never overtake each other: the next append begins when the one before is done', async (context) => {
  const { committer, appends, events, add } = startCommitter(context);
  for (const ticket of [1, 2, 3]) add(ticket);
  await until(() => appends.length === 1);
  for (const ticket of [4, 5, 6, 7]) add(ticket);
  await systemClock.sleep(20);
  assert.equal(appends.length, 1);
  assert.equal(committer.pendingMessages, 7);
  appends[0]?.settle();
  await until(() => appends.length === 2);
  appends[1]?.settle();
  await until(() => events.length === 2);
  assert.deepEqual(events, ['durable 1,2,3', 'durable 4,5,6,7']);
  assert.equal(committer.pendingMessages, 0);
});

test('a failed append is told, and the next messages are tried anew', async (context) => {
  const { appends, events, add } = startCommitter(context);
  add(1);
  await until(() => appends.length === 1);
  appends[0]?.settle(new Failure('disk_full', 'no room'));
  await until(() => events.length === 1);
  add(2);
  await until(() => appends.length === 2);
  appends[1]?.settle();
  await until(() => events.length === 2);
  assert.deepEqual(events, ['failed 1', 'durable 2']);
});

test('what was added while an append failed fails with it: it may have joined a message of that block', async (context) => {
  const { committer, appends, events, add } = startCommitter(context);
  for (const ticket of [1, 2, 3]) add(ticket);
  await until(() => appends.length === 1);
  add(4);
  // Message 1 again, on a new connection.
  committer.join(5);
  appends[0]?.settle(new Failure('data_dir_in_use', 'locked'));
  await until(() => events.length === 1);
  assert.deepEqual(events, ['failed 1,2,3,4,5']);
  assert.equal(committer.pendingMessages, 0);
});

test('stopping commits what is left before it ends', async (context) => {
  const { appends, events, add, stop, running } = startCommitter(context, {
    messagesMax: () => 9,
    bytesMax: 1e6,
    delayMs: 3_600_000,
  });
  add(1);
  stop.abort();
  await until(() => appends.length === 1);
  appends[0]?.settle();
  await running;
  assert.deepEqual(events, ['durable 1']);
});
