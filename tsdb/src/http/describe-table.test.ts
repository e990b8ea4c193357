import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataFile, Snapshot } from '../delta/snapshot.js';
import { describeTable } from './describe-table.js';

const file = (path: string, minTimeUs: number, maxTimeUs: number): DataFile => ({
  path,
  key: path,
  day: '2026-01-01',
  bytes: 100,
  rowCount: 10,
  minTimeUs,
  maxTimeUs,
  level: 0,
  addedMs: 0,
});
const snapshot = (files: DataFile[]): Snapshot => ({
  name: { database: 'main', table: 'environment' },
  version: 4,
  columns: {
    tags: [{ name: 'device' }],
    fields: [
      { name: 'count', type: 'long' },
      { name: 'temp_c', type: 'double', originalName: 'Temp °C' },
    ],
  },
  files: new Map(files.map((each) => [each.path, each])),
  transactions: new Map(),
});

test('adds up what the files say', () => {
  const { columns, ...rest } = describeTable(
    snapshot([
      file('a', 1_767_225_600_000_000, 1_767_225_600_500_000),
      file('b', 1_767_225_500_000_000, 1_767_225_501_000_000),
    ]),
  );
  assert.deepEqual(rest, {
    name: 'environment',
    database: 'main',
    version: 4,
    rows: 20,
    bytes: 200,
    files: 2,
    min_time: '2025-12-31T23:58:20Z',
    max_time: '2026-01-01T00:00:00.5Z',
  });
  assert.deepEqual(columns, [
    { name: 'time', role: 'time', type: 'timestamp[us, UTC]' },
    { name: 'device', role: 'tag', type: 'string' },
    { name: 'count', role: 'field', type: 'int64' },
    { name: 'temp_c', role: 'field', type: 'double', original_name: 'Temp °C' },
    { name: 'day', role: 'day', type: 'date' },
  ]);
});

test('a table without rows has no times', () => {
  const { min_time, max_time, rows } = describeTable(snapshot([]));
  assert.deepEqual([min_time, max_time, rows], [null, null, 0]);
});

test('a table of aggregates says so, and has the columns that a query sees', () => {
  const columns = {
    tags: [{ name: 'device' }, { name: 'part' }],
    fields: [
      { name: 'x_count', type: 'long' as const },
      { name: 'x_first_time', type: 'long' as const },
      { name: 'x_sum', type: 'double' as const },
    ],
  };
  const described = describeTable({ ...snapshot([]), columns, aggregate: { everyMs: 10_000 } });
  assert.deepEqual(described.aggregate, { every_ms: 10_000 });
  assert.deepEqual(described.columns, [
    { name: 'time', role: 'time', type: 'timestamp[us, UTC]' },
    { name: 'device', role: 'tag', type: 'string' },
    { name: 'x_count', role: 'field', type: 'int64' },
    { name: 'x_mean', role: 'field', type: 'double' },
    { name: 'x_sum', role: 'field', type: 'double' },
    { name: 'x_first_time', role: 'field', type: 'timestamp[us, UTC]' },
    { name: 'day', role: 'day', type: 'date' },
  ]);
});
