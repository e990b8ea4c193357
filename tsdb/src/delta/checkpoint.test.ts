import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { deltaCheckpointKey, deltaCommitKey, lastCheckpointKey } from '@varve/common/contract/object-keys.js';
import { isFailure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { ourProtocol, type Action } from './actions.js';
import { DeltaCatalog } from './catalog.js';
import { writeCheckpoint } from './checkpoint-writer.js';
import { DeltaLog, type CommitSummary } from './delta-log.js';
import { DuckDb } from './duckdb.js';
import { LogReader } from './log-reader.js';
import type { TableState } from './replay.js';
import type { DataFile } from './snapshot.js';
import { quotePath } from './sql-text.js';
import { createMetaData } from './table-metadata.js';

const name = { database: 'main', table: 'climate' };
const columns = { tags: [{ name: 'site' }], fields: [{ name: 'v', type: 'double' as const }] };
const metaData = createMetaData(name, { columns }, 0);
const summary: CommitSummary = {
  operation: 'STREAMING UPDATE',
  operationParameters: {},
  operationMetrics: {},
  isBlindAppend: true,
};
const nowMs = systemClock.nowMs();
const dayMs = 86_400_000;
const pathOf = (version: number) => `day=2026-11-20/part-${version}.parquet`;
const add = (path: string): Action => ({
  add: {
    path,
    partitionValues: { day: '2026-11-20' },
    size: 10,
    modificationTime: 7,
    dataChange: true,
    stats: `{"numRecords":4,"minValues":{"site":"a'\\"ü"},"maxValues":{"site":"b"},"nullCount":{"site":0}}`,
    tags: { 'varve.level': '1' },
  },
});
const remove = (path: string, deletionTimestamp: number): Action => ({
  remove: { path, deletionTimestamp, dataChange: true, partitionValues: { day: '2026-11-20' }, size: 10 },
});

let dir: string;
let duckDb: DuckDb;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'varve-checkpoint-'));
  duckDb = new DuckDb({ tempDir: dir, memoryBytesMax: 256 * 2 ** 20, tempBytesMax: 2 ** 30, threads: 1 });
});
after(async () => {
  await duckDb.close();
  await rm(dir, { recursive: true });
});

/** A log in which every version adds a file, moves one of two lanes on, and every third removes a file. */
class Lake {
  readonly store = new MemoryStore();
  readonly log = new DeltaLog(this.store, systemClock);
  readonly catalog = this.openCatalog();

  openCatalog(): DeltaCatalog {
    return new DeltaCatalog(this.store, systemClock, silentLogger());
  }

  async commitTo(versionMax: number): Promise<TableState> {
    const first = ((await this.catalog.refreshTable(name))?.version ?? -1) + 1;
    for (let version = first; version <= versionMax; version += 1) {
      const txn: Action = { txn: { appId: `lane-${version % 2}`, version, lastUpdated: nowMs } };
      const gone =
        version % 3 === 2 ? [remove(pathOf(version - 1), nowMs - (version < 10 ? 8 : 1) * dayMs)] : [];
      const created: Action[] = version === 0 ? [{ protocol: ourProtocol }, { metaData }] : [];
      await this.log.commit(name, version, summary, [...created, txn, ...gone, add(pathOf(version))]);
    }
    const state = await this.catalog.refreshTable(name);
    assert(state);
    return state;
  }

  async checkpoint(state: TableState): Promise<void> {
    await writeCheckpoint({ store: this.store, files: this.catalog.checkpointFiles, state, nowMs });
  }

  async read(): Promise<TableState | undefined> {
    const catalog = this.openCatalog();
    try {
      return await catalog.refreshTable(name);
    } finally {
      await catalog.close();
    }
  }

  async deleteCommits(from: number, to: number): Promise<void> {
    for (let version = from; version <= to; version += 1)
      await this.store.delete([deltaCommitKey(name, version)]);
  }

  async rows(version: number, sql: string): Promise<unknown[]> {
    const path = join(dir, `${version}.parquet`);
    await writeFile(path, await this.store.get(deltaCheckpointKey(name, version)));
    return await duckDb.withSession(async (session) => [
      ...(await session.rows(sql.replaceAll('CHECKPOINT', `read_parquet(${quotePath(path)})`))),
    ]);
  }
}

function pick({ path, key, day, bytes, rowCount, minTimeUs, maxTimeUs, level, addedMs }: DataFile) {
  return { path, key, day, bytes, rowCount, minTimeUs, maxTimeUs, level, addedMs };
}

function assertSame(read: TableState | undefined, expected: TableState): void {
  const comparable = ({ files, transactions, ...rest }: TableState) => ({
    ...rest,
    files: [...files.values()]
      .map((file) => ({ ...pick(file), tags: file.bounds?.tags, numbers: file.bounds?.numbers }))
      .sort((left, right) => (left.path < right.path ? -1 : 1)),
    transactions: new Map(transactions),
  });
  assert(read);
  assert.deepEqual(comparable(read), comparable(expected));
}

test('a table is the same read from commits, from a checkpoint alone, and from a checkpoint on a checkpoint', async () => {
  const lake = new Lake();
  await lake.checkpoint(await lake.commitTo(12));
  const state = await lake.commitTo(25);
  assertSame(await lake.read(), state);
  await lake.deleteCommits(0, 11);
  assertSame(await lake.read(), state);
  await lake.checkpoint(state);
  await lake.deleteCommits(12, 25);
  assertSame(await lake.read(), state);
  const hint = JSON.parse(Buffer.from(await lake.store.get(lastCheckpointKey(name))).toString()) as object;
  const bytes = (await lake.store.head(deltaCheckpointKey(name, 25)))?.bytes;
  assert.deepEqual(hint, { version: 25, size: 4 + 18 + 5, sizeInBytes: bytes, numOfAddFiles: 18 });
});

test('a checkpoint says what the protocol asks: one row per action, nothing changes data, old tombstones are gone', async () => {
  const lake = new Lake();
  await lake.checkpoint(await lake.commitTo(8));
  await lake.checkpoint(await lake.commitTo(20));
  const [row] = await lake.rows(
    20,
    `SELECT count(*)::INT AS n, count("add")::INT AS adds, count(remove)::INT AS removes, count(txn)::INT AS txns,
       count(CASE WHEN "add".dataChange OR remove.dataChange THEN 1 END)::INT AS changes,
       min(remove.deletionTimestamp)::DOUBLE AS oldest, max(txn.version)::INT AS newest,
       min("add".stats) AS stats, min("add".tags['varve.level']) AS lvl
     FROM CHECKPOINT`,
  );
  const { stats } = (add('x') as { add: { stats: string } }).add;
  assert.deepEqual(row, {
    n: 22,
    adds: 14,
    removes: 4,
    txns: 2,
    changes: 0,
    oldest: nowMs - dayMs,
    newest: 20,
    stats,
    lvl: '1',
  });
  const columnsOf = await lake.rows(20, 'SELECT column_name FROM (DESCRIBE SELECT * FROM CHECKPOINT)');
  assert.deepEqual(
    columnsOf.map((one) => (one as { column_name: string }).column_name),
    ['txn', 'add', 'remove', 'metaData', 'protocol'],
  );
});

test('the hint is only a hint: missing, garbage, ahead, behind, or to a torn checkpoint', async () => {
  const lake = new Lake();
  await lake.checkpoint(await lake.commitTo(5));
  await lake.checkpoint(await lake.commitTo(9));
  const state = await lake.commitTo(11);
  for (const hint of [
    undefined,
    '',
    '{',
    '[]',
    '{"version":"9"}',
    '{"version":5}',
    '{"version":10}',
    '{"version":99}',
  ]) {
    if (hint === undefined) await lake.store.delete([lastCheckpointKey(name)]);
    else await lake.store.put(lastCheckpointKey(name), Buffer.from(hint));
    assertSame(await lake.read(), state);
  }
  await lake.store.put(lastCheckpointKey(name), Buffer.from('{"version":9}'));
  const whole = await lake.store.get(deltaCheckpointKey(name, 9));
  for (const torn of [whole.slice(0, 100), whole.slice(100), new Uint8Array()]) {
    await lake.store.put(deltaCheckpointKey(name, 9), torn);
    assertSame(await lake.read(), state);
  }
  await lake.deleteCommits(0, 7);
  await lake.store.delete([deltaCheckpointKey(name, 5)]);
  await assert.rejects(
    lake.read(),
    (error) => isFailure(error, 'object_corrupt'),
    'there is no other way to it',
  );
});

test('the hint never goes back', async () => {
  const lake = new Lake();
  const early = await lake.commitTo(3);
  await lake.checkpoint(await lake.commitTo(6));
  await lake.checkpoint(early);
  assert.match(Buffer.from(await lake.store.get(lastCheckpointKey(name))).toString(), /^\{"version":6,/);
});

test('a checkpoint in several parts is read when all of them are there', async () => {
  const lake = new Lake();
  const state = await lake.commitTo(10);
  await lake.checkpoint(state);
  const path = join(dir, 'whole.parquet');
  await writeFile(path, await lake.store.get(deltaCheckpointKey(name, 10)));
  const [adds, others] = [join(dir, 'adds.parquet'), join(dir, 'others.parquet')];
  await duckDb.withSession(async (session) => {
    // As other writers do: without columns that a part does not use, and with statistics of their own.
    await session.run(`COPY (SELECT struct_insert("add", stats_parsed := {numRecords: 4}) AS "add"
      FROM read_parquet(${quotePath(path)}) WHERE "add" IS NOT NULL) TO '${adds}' (FORMAT parquet)`);
    await session.run(`COPY (SELECT txn, "metaData", {minReaderVersion: protocol.minReaderVersion,
        minWriterVersion: protocol.minWriterVersion} AS protocol
      FROM read_parquet(${quotePath(path)}) WHERE "add" IS NULL AND remove IS NULL) TO '${others}' (FORMAT parquet)`);
  });
  const keyOf = (part: number) =>
    deltaCheckpointKey(name, 10).replace('.parquet', `.000000000${part}.0000000002.parquet`);
  await lake.store.delete([deltaCheckpointKey(name, 10)]);
  await lake.deleteCommits(0, 10);
  await lake.store.put(keyOf(1), await readFile(adds));
  await assert.rejects(async () => assert(await lake.read()), 'half of it is nothing');
  await lake.store.put(keyOf(2), await readFile(others));
  assertSame(await lake.read(), state);
});

test('a checkpoint of another kind is refused by the name of its feature', async () => {
  const lake = new Lake();
  await lake.commitTo(4);
  await lake.deleteCommits(0, 2);
  const v2 = deltaCheckpointKey(name, 2).replace('.parquet', '.80a083e8-7026-4e79-81be-64bd76c43a11.parquet');
  await lake.store.put(v2, new Uint8Array());
  await assert.rejects(
    lake.read(),
    (error) => isFailure(error, 'table_unreadable') && /v2Checkpoint/.test(error.message),
  );
});

test('a checkpoint of many files is written and read in small pieces', async () => {
  const lake = new Lake();
  const paths = Array.from({ length: 50_000 }, (_, index) => pathOf(1_000_000 + index));
  const before = await lake.commitTo(0);
  await lake.log.commit(name, 1, summary, paths.map(add));
  const state = await lake.catalog.refreshTable(name);
  assert.equal(state?.files.size, before.files.size + paths.length);
  await lake.checkpoint(state);
  await lake.deleteCommits(0, 1);
  assertSame(await lake.read(), state);
  const largest = await lake.rows(1, 'SELECT count(*)::INT AS n FROM CHECKPOINT');
  assert.deepEqual(largest, [{ n: 3 + 1 + paths.length }]);
  await duckDb.withSession(async (session) => {
    const [row] = await session.rows(
      `SELECT max(row_group_num_rows)::INT AS n FROM parquet_metadata(${quotePath(join(dir, '1.parquet'))})`,
    );
    assert(Number(row?.['n']) <= 20_480);
  });
});

test('statistics and paths of other writers are read whatever characters they have', async () => {
  const lake = new Lake();
  await lake.commitTo(3);
  const rewrite = async (path: string, stats: string) => {
    const state = await lake.commitTo(3);
    await lake.checkpoint(state);
    const [from, to] = [join(dir, 'from.parquet'), join(dir, 'to.parquet')];
    await writeFile(from, await lake.store.get(deltaCheckpointKey(name, 3)));
    await duckDb.withSession((session) =>
      session.run(`COPY (
        SELECT * REPLACE (CASE WHEN "add" IS NULL THEN NULL
          ELSE struct_update("add", path := ${path}, stats := ${stats}) END AS "add") FROM read_parquet(${quotePath(from)})
      ) TO ${quotePath(to)} (FORMAT parquet)`),
    );
    await lake.store.put(deltaCheckpointKey(name, 3), await readFile(to));
    await lake.deleteCommits(0, 3);
  };
  const spaced = `'{' || chr(13) || chr(10) || ' "numRecords":4, "maxValues":{"site":"' || repeat('x', 3000000) || '"}}'`;
  await rewrite('"add".path', spaced);
  const state = await lake.read();
  assert.deepEqual(
    [...(state?.files.values() ?? [])].map(pick).map(({ rowCount }) => rowCount),
    [4, 4, 4],
  );

  await rewrite(`chr(2) || 'a' || chr(1) || "add".path`, '"add".stats');
  const odd = [...((await lake.read())?.files.keys() ?? [])];
  assert.deepEqual(
    odd.sort(),
    [0, 2, 3].map((version) => `\u0002a\u0001${pathOf(version)}`),
  );
});

test('any version is read again, one that is no more or not yet is refused', async () => {
  const lake = new Lake();
  const third = await lake.commitTo(3);
  await lake.checkpoint(await lake.commitTo(6));
  const seventh = await lake.commitTo(7);
  const reader = new LogReader(lake.store, lake.catalog.checkpointFiles);
  const readVersion = async (version: number) => (await reader.readAt(name, { version })).state;
  assertSame(await readVersion(3), third);
  assertSame(await readVersion(7), seventh);
  await assert.rejects(readVersion(8), (error) => isFailure(error, 'version_not_found'));
  await lake.deleteCommits(0, 5);
  assert.equal((await readVersion(6)).version, 6);
  await assert.rejects(readVersion(3), (error) => isFailure(error, 'version_expired'));
});

test('a process that slept while the log was cleaned up beyond its snapshot reads on from the checkpoint', async () => {
  const lake = new Lake();
  await lake.commitTo(2);
  let nowMs = 0;
  const clock = { ...systemClock, nowMs: () => nowMs };
  const sleeper = new DeltaCatalog(lake.store, clock, silentLogger());
  const sleepersLog = new DeltaLog(lake.store, clock);
  await sleeper.refreshTable(name);
  const state = await lake.commitTo(9);
  await lake.checkpoint(state);
  await lake.deleteCommits(0, 8);
  nowMs += 8 * dayMs;
  await assert.rejects(sleepersLog.commit(name, 3, summary, []), (error) =>
    isFailure(error, 'commit_conflict'),
  );
  assert.equal(await lake.store.head(deltaCommitKey(name, 3)), undefined, 'it was taken back');
  assertSame(await sleeper.refreshTable(name), state);
});
