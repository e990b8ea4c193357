import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { deltaCommitKey, tableRoot, type TableName } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { ourProtocol, type Action } from './actions.js';
import { DeltaCatalog } from './catalog.js';
import { DeltaLog, type CommitSummary } from './delta-log.js';
import { listTables } from './list-tables.js';
import { createMetaData, formatTableName } from './table-metadata.js';

const climate = { database: 'main', table: 'climate' };
const power = { database: 'main', table: 'power' };
const columns = { tags: [], fields: [] };
const summary: CommitSummary = {
  operation: 'STREAMING UPDATE',
  operationParameters: {},
  operationMetrics: {},
  isBlindAppend: true,
};
const created = (name: TableName): Action[] => [
  { protocol: ourProtocol },
  { metaData: createMetaData(name, { columns }, 0) },
];

function openCatalog(store = new MemoryStore()) {
  return {
    store,
    log: new DeltaLog(store, systemClock),
    catalog: new DeltaCatalog(store, systemClock, silentLogger()),
  };
}

const versionsOf = (catalog: DeltaCatalog) =>
  catalog.current().map(({ name, version }) => `${formatTableName(name)} ${version}`);

test('tables are found whatever lies between them, one list per table', async () => {
  const store = new MemoryStore();
  const put = async (key: string) => store.put(key, new Uint8Array());
  for (const table of ['a', 'a0', 'a_b', 'b'])
    for (const file of ['_delta_log/00000000000000000000.json', 'day=2026-01-01/part-1.parquet', '\u{1f321}'])
      await put(tableRoot({ database: 'main', table }) + file);
  for (const key of [
    'tables/readme.txt',
    'tables/main/notes.txt',
    'tables/Main/x/y',
    'tables/z/b/_delta_log/x',
  ])
    await put(key);
  let listed = 0;
  store.faults.before = (operation) => {
    if (operation === 'list') listed += 1;
  };
  const names = (await listTables(store)).map(formatTableName);
  assert.deepEqual(names, ['main.a', 'main.a0', 'main.a_b', 'main.b', 'z.b']);
  assert.equal(listed, 9, 'five tables, three keys that are none, and the end');
});

test('a refresh sees new tables and new versions of known ones', async () => {
  const { log, catalog } = openCatalog();
  await catalog.refresh();
  assert.deepEqual(versionsOf(catalog), []);
  await log.commit(power, 0, summary, created(power));
  await log.commit(climate, 0, summary, created(climate));
  await catalog.refresh();
  assert.deepEqual(versionsOf(catalog), ['main.climate 0', 'main.power 0']);
  for (const version of [1, 2, 3]) await log.commit(power, version, summary, []);
  await catalog.refresh();
  assert.deepEqual(versionsOf(catalog), ['main.climate 0', 'main.power 3']);
});

test('a refresh with nothing new asks once per table', async () => {
  const { store, log, catalog } = openCatalog();
  await log.commit(climate, 0, summary, created(climate));
  await catalog.refreshTable(climate);
  const operations: string[] = [];
  store.faults.before = (operation) => void operations.push(operation);
  await catalog.refreshTable(climate);
  assert.deepEqual(operations, ['head']);
});

test('concurrent refreshes share one run', async () => {
  const { store, log, catalog } = openCatalog();
  await log.commit(climate, 0, summary, created(climate));
  let gets = 0;
  store.faults.before = (operation) => {
    if (operation === 'get') gets += 1;
  };
  await Promise.all([catalog.refresh(), catalog.refresh(), catalog.refreshTable(climate), catalog.refresh()]);
  assert.equal(gets, 2, 'the hint to a checkpoint, and the commit');
});

test('our own commit is there without a request, and never takes a table back', async () => {
  const { log, catalog } = openCatalog();
  const first = await log.commit(climate, 0, summary, created(climate));
  catalog.applied(climate, 0, first.actions);
  assert.equal(catalog.get(climate)?.version, 0);
  const second = await log.commit(climate, 1, summary, []);
  await catalog.refreshTable(climate);
  catalog.applied(climate, 1, second.actions);
  catalog.applied(climate, 0, first.actions);
  assert.equal(catalog.get(climate)?.version, 1);
});

test('an unreadable table is reported, keeps its last snapshot, and stops no other', async () => {
  const { store, log, catalog } = openCatalog();
  for (const name of [climate, power]) await log.commit(name, 0, summary, created(name));
  await catalog.refresh();
  await store.put(deltaCommitKey(climate, 1), Buffer.from('{"add":'));
  await log.commit(power, 1, summary, []);
  await catalog.refresh();
  assert.deepEqual(versionsOf(catalog), ['main.climate 0', 'main.power 1']);
  assert.deepEqual(
    catalog.problems().map(({ name }) => name),
    [climate],
  );
  await assert.rejects(catalog.refreshTable(climate), (error) => isFailure(error, 'table_unreadable'));
  await store.delete([deltaCommitKey(climate, 1)]);
  await catalog.refresh();
  assert.deepEqual(catalog.problems(), []);
});

test('a store that fails is no problem of a table', async () => {
  const { store, log, catalog } = openCatalog();
  await log.commit(climate, 0, summary, created(climate));
  store.faults.before = () => {
    throw new Failure('store_unavailable', 'no route');
  };
  await assert.rejects(catalog.refresh(), (error) => isFailure(error, 'store_unavailable'));
  assert.deepEqual(catalog.problems(), []);
});
