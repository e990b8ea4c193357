import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { deltaCommitKey } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import type { Action } from './actions.js';
import { DeltaLog, type Commit, type CommitSummary } from './delta-log.js';

const name = { database: 'main', table: 'climate' };
const summary: CommitSummary = {
  operation: 'STREAMING UPDATE',
  operationParameters: {},
  operationMetrics: {},
  isBlindAppend: true,
};
const txn = (version: number): Action => ({ txn: { appId: 'x', version } });

function openLog() {
  const store = new MemoryStore();
  return { store, log: new DeltaLog(store, systemClock) };
}

async function collect(commits: AsyncIterable<Commit>): Promise<Commit[]> {
  const collected: Commit[] = [];
  for await (const commit of commits) collected.push(commit);
  return collected;
}

test('commits are read back in order, from where one asks', async () => {
  const { log } = openLog();
  for (let version = 0; version < 40; version += 1) await log.commit(name, version, summary, [txn(version)]);
  const versions = (await collect(log.readTail(name, 9))).map(({ version }) => version);
  assert.deepEqual(
    versions,
    Array.from({ length: 30 }, (_, index) => index + 10),
  );
  const [first] = await collect(log.readTail(name, -1));
  assert.deepEqual(first?.actions[1], txn(0));
});

test('a log without commits has no tail', async () => {
  assert.deepEqual(await collect(openLog().log.readTail(name, -1)), []);
});

test('commitInfo says what was read, and nothing in version 0', async () => {
  const { log } = openLog();
  const infoOf = ({ actions }: Commit) =>
    actions[0] && 'commitInfo' in actions[0] ? actions[0].commitInfo : {};
  const first = infoOf(await log.commit(name, 0, summary, []));
  const second = infoOf(await log.commit(name, 1, summary, []));
  assert.ok(!('readVersion' in first));
  assert.equal(second['readVersion'], 0);
  assert.equal(second['isBlindAppend'], true);
  assert.notEqual(first.txnId, second.txnId);
});

test('a version is missing: the table is unreadable and the version named', async () => {
  const { store, log } = openLog();
  for (const version of [0, 1, 2]) await log.commit(name, version, summary, []);
  await store.delete([deltaCommitKey(name, 1)]);
  await assert.rejects(
    collect(log.readTail(name, -1)),
    (error) => isFailure(error, 'table_unreadable') && error.message.includes('version 1 '),
  );
  await store.delete([deltaCommitKey(name, 0)]);
  await assert.rejects(collect(log.readTail(name, -1)), (error) => isFailure(error, 'table_unreadable'));
});

test('a version that somebody else has is a conflict', async () => {
  const { log } = openLog();
  await log.commit(name, 0, summary, [txn(1)]);
  await assert.rejects(log.commit(name, 0, summary, [txn(2)]), (error) =>
    isFailure(error, 'commit_conflict'),
  );
});

test('a commit whose answer was lost is done, once', async () => {
  const { store, log } = openLog();
  let isLost = false;
  store.faults.after = (operation) => {
    if (operation !== 'putIfAbsent' || isLost) return;
    isLost = true;
    throw new Failure('store_unavailable', 'the connection broke');
  };
  await log.commit(name, 0, summary, [txn(1)]);
  assert.equal((await collect(log.readTail(name, -1))).length, 1);
});

test('a repeated put that meets its own first try is done', async () => {
  const { store, log } = openLog();
  // As a client does that tries again by itself: the first try lands unnoticed, the second finds the key taken.
  const putIfAbsent = store.putIfAbsent.bind(store);
  store.putIfAbsent = async (key, body) => {
    await putIfAbsent(key, body);
    return await putIfAbsent(key, body);
  };
  await log.commit(name, 0, summary, [txn(1)]);
});

test('an answer lost after somebody else won is a conflict', async () => {
  const { store, log } = openLog();
  await log.commit(name, 0, summary, [txn(1)]);
  store.faults.after = (operation) => {
    if (operation === 'putIfAbsent') throw new Failure('store_unavailable', 'the connection broke');
  };
  await assert.rejects(log.commit(name, 0, summary, [txn(2)]), (error) =>
    isFailure(error, 'commit_conflict'),
  );
});

test('a commit that did not arrive is neither done nor refused', async () => {
  const { store, log } = openLog();
  store.faults.before = (operation) => {
    if (operation === 'putIfAbsent') throw new Failure('store_unavailable', 'no route');
  };
  await assert.rejects(log.commit(name, 0, summary, []), (error) => isFailure(error, 'store_unavailable'));
  store.faults.before = (operation) => {
    throw new Failure('store_unavailable', `no route for ${operation}`);
  };
  await assert.rejects(log.commit(name, 0, summary, []), (error) => isFailure(error, 'store_unavailable'));
});
