import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import {
  formatCommit,
  parseCommit,
  requireReadable,
  requireWritable,
  tokenOf,
  type Action,
} from './actions.js';

const unreadable = (named: string) => (error: unknown) =>
  isFailure(error, 'table_unreadable') && error.message.includes(named);

test('a commit is read back as it was written', () => {
  const actions: Action[] = [
    { commitInfo: { txnId: 'token', operation: 'STREAMING UPDATE' } },
    { txn: { appId: 'edge/a/1/data', version: 7 } },
    { remove: { path: 'day=2026-01-01/part-1.parquet', dataChange: true } },
  ];
  assert.deepEqual(parseCommit('key', formatCommit(actions)), actions);
  assert.equal(tokenOf(actions), 'token');
});

test('actions and members that nobody here knows are ignored', () => {
  const text = '{"cdc":{"path":"x"}}\n\n{"txn":{"appId":"a","version":1,"later":true}}';
  assert.deepEqual(parseCommit('key', text), [{ txn: { appId: 'a', version: 1 } }]);
});

test('a line that is no action is unreadable, and named', () => {
  assert.throws(
    () => parseCommit('the-key', '{"txn":{"appId":"a","version":1}}\n{"add'),
    unreadable('line 2 of the-key'),
  );
  assert.throws(() => parseCommit('the-key', '{"add":{"path":5}}'), unreadable('line 1 of the-key'));
  assert.throws(() => parseCommit('the-key', '17'), unreadable('line 1'));
});

test('a protocol that asks for more than we know is refused by the name of the feature', () => {
  requireReadable('t', { minReaderVersion: 1, minWriterVersion: 7 });
  assert.throws(
    () =>
      requireReadable('t', { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: ['deletionVectors'] }),
    unreadable('deletionVectors'),
  );
  assert.throws(
    () => requireReadable('t', { minReaderVersion: 2, minWriterVersion: 5 }),
    unreadable('column mapping'),
  );
  assert.throws(
    () => requireWritable('t', { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['rowTracking'] }),
    unreadable('rowTracking'),
  );
  requireWritable('t', { minReaderVersion: 1, minWriterVersion: 2 });
});
