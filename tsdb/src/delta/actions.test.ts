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
import { createMetaData } from './table-metadata.js';

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

const metaData = createMetaData({ database: 'main', table: 't' }, { columns: { tags: [], fields: [] } }, 0);
const configured = (configuration: Record<string, string>) => ({ ...metaData, configuration });

test('what reading asks for and we do not know is refused by its name', () => {
  requireReadable('t', { minReaderVersion: 1, minWriterVersion: 7 });
  requireReadable('t', { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: ['vacuumProtocolCheck'] });
  for (const [protocol, feature] of [
    [{ minReaderVersion: 3, minWriterVersion: 7, readerFeatures: ['deletionVectors'] }, 'deletionVectors'],
    [{ minReaderVersion: 3, minWriterVersion: 7, readerFeatures: ['v2Checkpoint', 'x'] }, 'v2Checkpoint, x'],
    [{ minReaderVersion: 2, minWriterVersion: 5 }, 'columnMapping'],
    [{ minReaderVersion: 4, minWriterVersion: 7, readerFeatures: [] }, 'reader version 4'],
  ] as const)
    assert.throws(
      () =>
        requireReadable('t', {
          ...protocol,
          readerFeatures: [...(('readerFeatures' in protocol && protocol.readerFeatures) || [])],
        }),
      unreadable(feature),
    );
});

test('what writing could break is refused by its name', () => {
  const writer = (minWriterVersion: number, writerFeatures?: string[]) => ({
    minReaderVersion: 1,
    minWriterVersion,
    ...(writerFeatures && { writerFeatures }),
  });
  requireWritable('t', { protocol: writer(2), metaData });
  requireWritable('t', { protocol: writer(7, ['appendOnly', 'invariants']), metaData });
  const appendOnly = configured({ 'delta.appendOnly': 'true' });
  requireWritable('t', { protocol: writer(2), metaData: appendOnly });
  for (const [promises, feature, changesRows] of [
    [{ protocol: writer(7, ['rowTracking', 'appendOnly']), metaData }, 'rowTracking', false],
    [{ protocol: writer(4), metaData }, 'checkConstraints, changeDataFeed, generatedColumns', false],
    [{ protocol: writer(8), metaData }, 'writer version 8', false],
    [
      { protocol: writer(2), metaData: configured({ 'delta.constraints.hot': 'v > 0' }) },
      'checkConstraints',
      false,
    ],
    [
      {
        protocol: writer(2),
        metaData: { ...metaData, schemaString: '{"metadata":{"delta.invariants":"x"}}' },
      },
      'invariants',
      false,
    ],
    [{ protocol: writer(2), metaData: appendOnly }, 'appendOnly', true],
  ] as const)
    assert.throws(() => requireWritable('t', promises, { changesRows }), unreadable(feature));
});
