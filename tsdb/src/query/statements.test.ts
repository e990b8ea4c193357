import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Snapshot } from '../delta/snapshot.js';
import { QuestionPlanner } from './query-plan.js';
import { Statements } from './statements.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const snapshotAt = (version: number): Snapshot => ({
  ...{ name: { database: 'main', table: 'climate' }, version, files: new Map(), transactions: new Map() },
  columns: { tags: [{ name: 'device' }], fields: [{ name: 'temperature', type: 'double' }] },
});

test('a statement is the same as long as the tables are, and holds on to none as it was', async () => {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const [statements, planner] = [new Statements(), new QuestionPlanner()];
  // A text of its own for each version: the texts are kept.
  const sqlOf = ([snapshot]: readonly Snapshot[]) => `select count(*) + ${snapshot?.version} from climate`;
  const read = (snapshots: readonly Snapshot[]) =>
    statements.read(sqlOf(snapshots), 'main', snapshots, connection, (work) => work());
  const planned = async (snapshots: readonly Snapshot[]) => {
    const statement = await read(snapshots);
    return planner.plan(statement, { sql: sqlOf(snapshots) }, 0, () => undefined);
  };
  const before: WeakRef<Snapshot>[] = [];
  for (let version = 0; version < 3; version++) {
    const snapshots = [snapshotAt(version)];
    assert.equal(await read(snapshots), await read(snapshots));
    const { tables } = await planned(snapshots);
    assert.equal((await planned(snapshots)).tables, tables);
    assert.equal(tables[0]?.snapshot.version, version);
    for (const snapshot of snapshots) before.push(new WeakRef(snapshot));
  }
  // The last one is still in a variable.
  const old = before.slice(0, -1);
  for (let round = 0; round < 20 && old.some((one) => one.deref()); round++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    collectGarbage();
  }
  assert.deepEqual(
    old.map((one) => one.deref()?.version),
    [undefined, undefined],
  );
  connection.closeSync();
});

test('two who see other tables do not make each other parse again', async () => {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const statements = new Statements();
  const [climate] = [snapshotAt(1)];
  const other: Snapshot = { ...climate, name: { database: 'main', table: 'other' } };
  let calls = 0;
  const read = (snapshots: readonly Snapshot[]) =>
    statements.read('select count(*) from climate', 'main', snapshots, connection, (work) => {
      calls += 1;
      return work();
    });
  const [few, all] = [[climate], [climate, other]];
  for (let round = 0; round < 3; round++) for (const snapshots of [few, all]) await read(snapshots);
  assert.equal(calls, 2);
  // Not what somebody else may see.
  await assert.rejects(read([other]), { code: 'table_not_found' });
  connection.closeSync();
});
