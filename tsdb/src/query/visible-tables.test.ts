import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot } from '../delta/snapshot.js';
import { VisibleTables } from './visible-tables.js';

const snapshotOf = (table: string): Snapshot => ({
  name: { database: 'main', table },
  version: 1,
  columns: { tags: [], fields: [] },
  files: new Map(),
  transactions: new Map(),
});
const all = ['a', 'b', 'c'].map(snapshotOf);
const isA = ({ name }: Snapshot) => name.table === 'a';

test('the same array for the same tables and the same eyes', () => {
  const tables = new VisibleTables();
  const seen = tables.of(all, isA);
  assert.deepEqual(seen, [all[0]]);
  assert.equal(tables.of(all, isA), seen);
  assert.deepEqual(
    tables.of(all, (snapshot) => !isA(snapshot)),
    all.slice(1),
  );
  assert.equal(tables.of(all, isA), seen);
});

test('other tables are looked at anew', () => {
  const tables = new VisibleTables();
  tables.of(all, isA);
  const later = [snapshotOf('a'), ...all.slice(1)];
  assert.equal(tables.of(later, isA)[0], later[0]);
});

test('who sees all, sees what everybody sees', () => {
  const tables = new VisibleTables();
  assert.equal(tables.of(all, undefined), all);
  assert.equal(
    tables.of(all, () => true),
    all,
  );
});
