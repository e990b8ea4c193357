import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { SourceConfig } from '../config.js';
import { Subscriptions } from './subscriptions.js';

/** What the log remembers, and how often it was written. */
function memory() {
  const sessions = new Map<string, readonly string[]>();
  const log = {
    writes: 0,
    subscribed: (session: string) => Promise.resolve([...(sessions.get(session) ?? [])]),
    setSubscribed: (session: string, filters: readonly string[]) => {
      sessions.set(session, filters);
      log.writes++;
      return Promise.resolve();
    },
  };
  return log;
}

async function open(log: ReturnType<typeof memory>, topics: string[], brokerName = 'mqtt://one') {
  const subscriptions = new Subscriptions(log, {
    brokerName,
    clientId: 'varve',
    topics,
  } as unknown as SourceConfig);
  await subscriptions.recall();
  return subscriptions;
}

test('what is no longer configured is given up, at every connection, and what it brings is not wanted', async () => {
  const log = memory();
  assert.deepEqual(await (await open(log, ['a/#', 'b/#'])).begin(false), []);
  const later = await open(log, ['a/#', 'c']);
  assert.equal(later.isUnwanted('b/1'), true, 'before the first connection is through');
  assert.deepEqual(await later.begin(true), ['b/#']);
  assert.deepEqual(await later.begin(true), ['b/#'], 'nobody knows whether it was done');
  assert.deepEqual(
    ['a/1', 'b/1', 'c', 'd'].map((topic) => later.isUnwanted(topic)),
    [false, true, false, false],
  );
  assert.equal(log.writes, 2, 'only when something changes');
});

test('what another filter brings as well is wanted', async () => {
  const log = memory();
  await (await open(log, ['a/#', 'a/+/x'])).begin(false);
  const later = await open(log, ['a/1/#', '$queue/a/2/x']);
  await later.begin(true);
  assert.equal(later.isUnwanted('a/1/x'), false);
  assert.equal(later.isUnwanted('a/2/x'), false, 'nobody but the broker knows what $queue/… brings');
});

test('a new session begins with what is configured; another broker has a session of its own', async () => {
  const log = memory();
  await (await open(log, ['a/#', 'b/#'])).begin(false);
  assert.deepEqual(await (await open(log, ['a/#'], 'mqtt://two')).begin(true), []);
  const later = await open(log, ['a/#']);
  assert.deepEqual(await later.begin(false), []);
  assert.equal(later.isUnwanted('b/1'), false);
  assert.deepEqual(await (await open(log, ['a/#'])).begin(true), []);
});
