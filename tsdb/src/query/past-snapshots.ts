/**
 * Tables as they were at an earlier version or time.
 */
import assert from 'node:assert/strict';
import { Failure } from '@varve/common/errors.js';
import type { Snapshot, TableCatalog } from '../delta/snapshot.js';
import type { QueryRequest } from './query-plan.js';
import type { Statement } from './statements.js';

/** The tables that a statement names, as they were; others are not there. @throws Failure where a version is not */
export async function pastSnapshots(
  catalog: TableCatalog,
  { tables }: Statement,
  asOf: NonNullable<QueryRequest['asOf']>,
): Promise<Snapshot[]> {
  if (!catalog.snapshotAt) throw new Failure('bad_param', 'as_of: earlier versions cannot be read here');
  const snapshots = [...new Set(tables.map(({ snapshot }) => snapshot))];
  if ('version' in asOf && snapshots.length > 1)
    throw new Failure('bad_param', 'as_of: a version is of one table, and the query names several', {
      hint: 'give a time instead',
    });
  return await Promise.all(snapshots.map((snapshot) => pastSnapshot(catalog, snapshot, asOf)));
}

/** Vacuum keeps no file for a version that is too old. */
export function expired(cause: Failure): Failure {
  return new Failure('version_expired', 'files of that version are there no more', {
    cause,
    hint: 'ask for a later version or time',
  });
}

async function pastSnapshot(
  catalog: TableCatalog,
  { name }: Snapshot,
  asOf: NonNullable<QueryRequest['asOf']>,
): Promise<Snapshot> {
  const found = await catalog.snapshotAt?.(name, asOf);
  assert(found);
  return found;
}
