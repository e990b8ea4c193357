import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { isFailure } from '@varve/common/errors.js';
import { ourProtocol, type Action } from './actions.js';
import { applyCommit, Replay } from './replay.js';
import { changeShape, createMetaData } from './table-metadata.js';

const name = { database: 'main', table: 'climate' };
const columns = { tags: [{ name: 'site' }], fields: [{ name: 'v', type: 'double' as const }] };
const metaData = createMetaData(name, { columns }, 0);
const created: Action[] = [{ protocol: ourProtocol }, { metaData }];

const add = (path: string, day = '2026-11-20'): Action => ({
  add: {
    path,
    partitionValues: { day },
    size: 10,
    modificationTime: 0,
    dataChange: true,
    stats: '{"numRecords":4}',
  },
});
const remove = (path: string): Action => ({ remove: { path, dataChange: true } });
const unreadable = (error: unknown) => isFailure(error, 'table_unreadable');

test('the first commit says what the table is', () => {
  const state = applyCommit(name, undefined, 0, [...created, add('day=2026-11-20/a.parquet')]);
  assert.equal(state.version, 0);
  assert.deepEqual(state.columns, columns);
  const file = state.files.get('day=2026-11-20/a.parquet');
  assert(file);
  assert.equal(file.key, 'tables/main/climate/day=2026-11-20/a.parquet');
  const { path, day, bytes, rowCount, minTimeUs, maxTimeUs, level, addedMs, bounds } = file;
  assert.deepEqual(
    { path, day, bytes, rowCount, minTimeUs, maxTimeUs, level, addedMs, bounds },
    {
      path: 'day=2026-11-20/a.parquet',
      day: '2026-11-20',
      bytes: 10,
      rowCount: 4,
      minTimeUs: Date.parse('2026-11-20') * 1_000,
      maxTimeUs: Date.parse('2026-11-21') * 1_000 - 1,
      level: 0,
      addedMs: 0,
      bounds: undefined,
    },
  );
});

test('removed files go, re-added ones stay, and the snapshot before is untouched', () => {
  const before = applyCommit(name, undefined, 0, [...created, add('a'), add('b'), add('c')]);
  const after = applyCommit(name, before, 1, [add('a'), remove('b')]);
  assert.deepEqual([...after.files.keys()].sort(), ['a', 'c']);
  assert.deepEqual([...before.files.keys()].sort(), ['a', 'b', 'c']);
});

test('a path that is removed and added in one commit stays', () => {
  const before = applyCommit(name, undefined, 0, [...created, add('a')]);
  assert.deepEqual([...applyCommit(name, before, 1, [add('a'), remove('a')]).files.keys()], ['a']);
});

test('the newest transaction of each application and the newest columns count', () => {
  const wider = { ...columns, fields: [...columns.fields, { name: 'w', type: 'long' as const }] };
  const replay = new Replay(name);
  replay.apply(0, [...created, { txn: { appId: 'x', version: 1 } }, { txn: { appId: 'y', version: 1 } }]);
  replay.apply(1, [
    { txn: { appId: 'x', version: 5 } },
    { metaData: changeShape(metaData, { columns: wider }) },
  ]);
  const state = replay.finish();
  assert.deepEqual([...state.transactions].sort(), [
    ['x', 5],
    ['y', 1],
  ]);
  assert.deepEqual(state.columns, wider);
  assert.equal(state.metaData.id, metaData.id);
});

test('escapes of other writers in paths are undone once for the key', () => {
  const state = applyCommit(name, undefined, 0, [...created, add('site=a%2520b/x%20y.parquet')]);
  assert.equal(
    state.files.get('site=a%2520b/x%20y.parquet')?.key,
    'tables/main/climate/site=a%20b/x y.parquet',
  );
});

test('what cannot be answered rightly is unreadable', () => {
  const otherPartition: Action = { metaData: { ...metaData, partitionColumns: ['site'] } };
  const newProtocol: Action = { protocol: { minReaderVersion: 3, minWriterVersion: 7 } };
  for (const actions of [
    [add('a')],
    [{ protocol: ourProtocol }, otherPartition],
    [newProtocol, { metaData }],
    [...created, add('s3://elsewhere/a.parquet')],
    [...created, add('/a.parquet')],
    [...created, add('a%zz.parquet')],
    [...created, add('day=2026-11-20/%2e%2e/%2e%2e/other/a.parquet')],
    [...created, add('a.parquet', '')],
  ] satisfies Action[][])
    assert.throws(() => applyCommit(name, undefined, 0, actions), unreadable, JSON.stringify(actions));
});

test('a feature that we do not have is named, whatever else is wrong and in whatever order it stands', () => {
  const actions: Action[] = [
    { metaData: { ...metaData, partitionColumns: [], schemaString: '{}' } },
    { protocol: { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: ['deletionVectors'] } },
  ];
  assert.throws(
    () => applyCommit(name, undefined, 0, actions),
    (error) => isFailure(error, 'table_unreadable') && error.message.includes('(deletionVectors)'),
  );
});

test('a replay of ten thousand commits takes time in proportion', () => {
  const replay = new Replay(name);
  replay.apply(0, created);
  const startedMs = systemClock.monotonicMs();
  for (let version = 1; version <= 10_000; version += 1)
    replay.apply(version, [add(`day=2026-11-20/${version}`)]);
  assert.equal(replay.finish().files.size, 10_000);
  assert.ok(systemClock.monotonicMs() - startedMs < 2_000, 'copying a map per commit takes far longer');
});

test('a table of aggregates says so, whatever columns it gets later', () => {
  const ofAggregates = createMetaData(name, { columns, aggregate: { everyMs: 60_000 } }, 0);
  const replay = new Replay(name);
  replay.apply(0, [{ protocol: ourProtocol }, { metaData: ofAggregates }]);
  replay.apply(1, [{ metaData: changeShape(ofAggregates, { columns }) }]);
  assert.deepEqual(replay.finish().aggregate, { everyMs: 60_000 });
});

test('a table whose windows have no width that we know is not read as rows', () => {
  const broken = { ...metaData, configuration: { 'varve.aggregate': '{"every":"10s"}' } };
  assert.throws(
    () => applyCommit(name, undefined, 0, [{ protocol: ourProtocol }, { metaData: broken }]),
    unreadable,
  );
});
