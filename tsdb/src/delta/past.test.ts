import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { dataFileKey, deltaCommitKey, probePrefix } from '@varve/common/contract/object-keys.js';
import { isFailure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { ourProtocol, type Action } from './actions.js';
import { DeltaCatalog } from './catalog.js';
import { writeCheckpoint } from './checkpoint-writer.js';
import { DeltaLog, type CommitSummary } from './delta-log.js';
import { cleanUpLog } from './log-keeper.js';
import { putPin } from './pins.js';
import { restoreTable } from './restore-table.js';
import { changeShape, createMetaData } from './table-metadata.js';
import { vacuum, type VacuumOptions } from './vacuum.js';
import { listVersions } from './versions.js';

const name = { database: 'main', table: 'climate' };
const columns = { tags: [{ name: 'site' }], fields: [{ name: 'v', type: 'double' as const }] };
const metaData = createMetaData(name, { columns }, 0);
const dayMs = 86_400_000;
const summary: CommitSummary = {
  operation: 'STREAMING UPDATE',
  operationParameters: {},
  operationMetrics: { numOutputRows: '4' },
  isBlindAppend: true,
};
const pathOf = (file: string) => `day=2026-11-20/part-${file}.parquet`;

/** One commit a day: `+a -b` adds file a and removes file b. */
class Scene {
  nowMs = Date.parse('2026-11-20');
  readonly clock = { ...systemClock, nowMs: () => this.nowMs };
  readonly store = new MemoryStore({ clock: this.clock });
  readonly catalog = new DeltaCatalog(this.store, this.clock, silentLogger());
  readonly deltaLog = new DeltaLog(this.store, this.clock);

  static async of(...changes: string[]): Promise<Scene> {
    const scene = new Scene();
    for (const change of changes) await scene.commit(change);
    return scene;
  }

  async commit(change: string, more: readonly Action[] = []): Promise<void> {
    const version = ((await this.catalog.refreshTable(name))?.version ?? -1) + 1;
    const actions: Action[] = version === 0 ? [{ protocol: ourProtocol }, { metaData }] : [...more];
    for (const part of change.split(' ').filter((text) => text !== '')) {
      const path = pathOf(part.slice(1));
      if (part.startsWith('+')) {
        await this.store.put(dataFileKey(name, path), new Uint8Array(10));
        const stats = '{"numRecords":4,"nullCount":{"site":0}}';
        const file = { path, partitionValues: { day: '2026-11-20' }, size: 10, modificationTime: 7, stats };
        actions.push({ add: { ...file, dataChange: true, tags: { 'varve.level': '1' } } });
      } else actions.push({ remove: { path, deletionTimestamp: this.nowMs, dataChange: true } });
    }
    await this.deltaLog.commit(name, version, summary, actions);
    await this.catalog.refreshTable(name);
    this.nowMs += dayMs;
  }

  async checkpoint(): Promise<void> {
    const state = await this.catalog.refreshTable(name);
    assert(state);
    await writeCheckpoint({
      store: this.store,
      files: this.catalog.checkpointFiles,
      state,
      nowMs: this.nowMs,
    });
  }

  liveAt(version: number) {
    return this.catalog.snapshotAt(name, { version }).then(({ files }) => fileNames(files.keys()));
  }

  live(): string {
    return fileNames(this.catalog.get(name)?.files.keys() ?? []);
  }

  async stored(): Promise<string> {
    const keys: string[] = [];
    for await (const { key } of this.store.list('tables/main/climate/day=')) keys.push(key);
    return fileNames(keys);
  }

  async vacuum(options: Partial<VacuumOptions> = {}) {
    return await vacuum(this, name, { isDryRun: false, ...options });
  }
}

function fileNames(paths: Iterable<string>): string {
  return [...paths]
    .map((path) => /part-(.*)\.parquet/.exec(path)?.[1] ?? path)
    .sort()
    .join('');
}

const expired = (error: unknown) => isFailure(error, 'version_expired') && error.status === 410;

test('a table is read as it was, by version and by time', async () => {
  const scene = await Scene.of('+a', '+b -a', '+c');
  assert.deepEqual([await scene.liveAt(0), await scene.liveAt(1), await scene.liveAt(2)], ['a', 'b', 'bc']);
  const at = async (time: string) =>
    (await scene.catalog.snapshotAt(name, { timeMs: Date.parse(time) })).version;
  assert.deepEqual(
    [await at('2026-11-20'), await at('2026-11-21T23:00Z'), await at('2030-01-01')],
    [0, 1, 2],
  );
  await assert.rejects(at('2026-11-19'), (error) => isFailure(error, 'version_not_found'));
  await assert.rejects(scene.liveAt(3), (error) => isFailure(error, 'version_not_found'));
});

test('versions are listed newest first, by pages, with what made them', async () => {
  const scene = await Scene.of('+a', '+b', '+c');
  await putPin(scene.store, name, 1, 0);
  const page = await listVersions(scene.store, name, { limit: 2 });
  assert.deepEqual([page.oldest, page.pinned], [0, [1]]);
  assert.deepEqual(
    page.versions.map(({ version, operation, isPinned }) => [version, operation, isPinned]),
    [
      [2, 'STREAMING UPDATE', false],
      [1, 'STREAMING UPDATE', true],
    ],
  );
  assert.equal(page.versions[0]?.committedMs, Date.parse('2026-11-22'));
  const rest = await listVersions(scene.store, name, { limit: 2, before: 1 });
  assert.deepEqual(
    rest.versions.map(({ version }) => version),
    [0],
  );
});

test('a restore brings files and columns back, and lanes go on where they are', async () => {
  const scene = await Scene.of('+a +b');
  await scene.checkpoint();
  const wider = changeShape(metaData, { columns: { ...columns, tags: [...columns.tags, { name: 'x' }] } });
  await scene.commit('+c -a', [{ metaData: wider }, { txn: { appId: 'lane', version: 7 } }]);
  const before = scene.catalog.get(name);
  const dry = await restoreTable(scene, name, 0, { isDryRun: true });
  assert.deepEqual(dry, {
    version: 0,
    newVersion: undefined,
    filesAdded: 1,
    filesRemoved: 1,
    rowsBefore: 8,
    rowsAfter: 8,
  });
  assert.equal(scene.catalog.get(name), before);
  assert.equal((await restoreTable(scene, name, 0, { isDryRun: false })).newVersion, 2);
  const state = scene.catalog.get(name);
  assert.equal(scene.live(), 'ab');
  assert.deepEqual(state?.columns, columns);
  assert.equal(state.transactions.get('lane'), 7);
  const [file] = [...state.files.values()].filter(({ path }) => path === pathOf('a'));
  assert.deepEqual([file?.rowCount, file?.level], [4, 1], 'its statistics and tags are as they were');
  const text = Buffer.from(await scene.store.get(deltaCommitKey(name, 2))).toString();
  assert.match(text, /"operation":"RESTORE"/);
  assert.doesNotMatch(text, /"dataChange":false/);
  assert.equal(
    (await restoreTable(scene, name, 0, { isDryRun: false })).newVersion,
    undefined,
    'nothing to do',
  );
  await restoreTable(scene, name, 1, { isDryRun: false });
  assert.equal(scene.live(), 'bc', 'and back again');
});

test('a version whose files are gone is not restored, and the files are named', async () => {
  const scene = await Scene.of('+a +b', '-a', '+c');
  await scene.store.delete([dataFileKey(name, pathOf('a'))]);
  await assert.rejects(
    restoreTable(scene, name, 0, { isDryRun: true }),
    (error) => expired(error) && error instanceof Error && error.message.includes(pathOf('a')),
  );
});

test('vacuum deletes what no version inside retention needs, and a dry run says what', async () => {
  const scene = await Scene.of('+a +b', '-a', '+c -b');
  const orphan = dataFileKey(name, pathOf('orphan'));
  await scene.store.put(orphan, new Uint8Array(5));
  for (const hidden of ['_archive/x', 'day=2026-11-20/_part-tmp.parquet', '.hidden/x'])
    await scene.store.put(dataFileKey(name, hidden), new Uint8Array());
  // Seven days after a was removed, and less than that after b was.
  scene.nowMs = Date.parse('2026-11-28T12:00Z');
  await scene.store.put(dataFileKey(name, pathOf('young')), new Uint8Array(5));
  const dry = await scene.vacuum({ isDryRun: true });
  assert.deepEqual([dry.deleted, dry.deletedBytes, dry.kept, dry.tooYoung], [1, 10, 2, 2]);
  assert.deepEqual(dry.examples, [dataFileKey(name, pathOf('a'))]);
  assert.equal(await scene.stored(), 'abcorphantmpyoung');
  await scene.vacuum();
  assert.equal(await scene.stored(), 'bcorphantmpyoung');
  await assert.rejects(scene.liveAt(0), expired);
  assert.equal(await scene.liveAt(1), 'b');
  scene.nowMs += 7 * dayMs - 1;
  await scene.vacuum();
  assert.equal(await scene.stored(), 'ctmpyoung');
  assert.ok(await scene.store.head('tables/main/climate/_archive/x'));
  for await (const { key } of scene.store.list(probePrefix)) assert.fail(key);
});

test('tombstones in a checkpoint count, pinned versions keep their files', async () => {
  const scene = await Scene.of('+a +b');
  await scene.checkpoint();
  await putPin(scene.store, name, 0, 0);
  await scene.commit('-a');
  await scene.commit('+c -b');
  await scene.checkpoint();
  for (const version of [1, 2]) await scene.store.delete([deltaCommitKey(name, version)]);
  scene.nowMs = Date.parse('2026-12-20');
  assert.equal((await scene.vacuum()).deleted, 0);
  assert.equal(await scene.liveAt(0), 'ab');
  await scene.store.delete([`pins/main/climate/${'0'.repeat(20)}.json`]);
  scene.nowMs = Date.parse('2026-11-28T12:00Z');
  await scene.vacuum();
  assert.equal(await scene.stored(), 'bc', 'b was removed less than seven days before');
});

test('a shorter guard needs the word for it; a clock that runs ahead deletes nothing', async () => {
  const scene = await Scene.of('+a', '+b -a');
  await assert.rejects(scene.vacuum({ olderThanMs: 0 }), (error) => isFailure(error, 'bad_param'));
  await assert.rejects(scene.vacuum({ olderThanMs: 6 * dayMs }), (error) => isFailure(error, 'bad_param'));
  const ahead = { ...scene.clock, nowMs: () => scene.nowMs + 1_000 * dayMs };
  const context = { store: scene.store, catalog: scene.catalog, clock: ahead };
  assert.equal((await vacuum(context, name, { isDryRun: false })).deleted, 0);
  assert.equal((await scene.vacuum({ olderThanMs: 1, isShortAllowed: true })).deleted, 1);
});

for (const phase of ['before', 'after'] as const)
  test(`clean-up and vacuum killed ${phase} any request: every version inside retention is whole`, async () => {
    for (let at = 0; ; at += 1) {
      const scene = await Scene.of('+a +b', '-a', '+c -b');
      await scene.checkpoint();
      for (const change of ['+d', '+e -c', '+f', '+g -d', '+h', '+i', '+j', '+k -e'])
        await scene.commit(change);
      let count = 0;
      scene.store.faults[phase] = () => {
        if (count++ >= at) throw new Error('killed');
      };
      const state = scene.catalog.get(name);
      assert(state);
      await (async () => {
        await cleanUpLog(scene.store, state, scene.nowMs);
        await scene.vacuum();
      })().catch(() => undefined);
      scene.store.faults[phase] = undefined;
      const catalog = new DeltaCatalog(scene.store, scene.clock, silentLogger());
      for (const [version, files] of [
        [4, 'de'],
        [5, 'def'],
        [6, 'efg'],
        [10, 'fghijk'],
      ] as const) {
        const { files: live } = await catalog.snapshotAt(name, { version });
        assert.equal(fileNames(live.keys()), files, `killed ${phase} request ${at}`);
        for (const { key } of live.values()) assert.ok(await scene.store.head(key), `${key}, request ${at}`);
      }
      await catalog.close();
      await scene.catalog.close();
      if (count > at) continue;
      assert.ok(at > 10, `only ${at} requests`);
      assert.equal(await scene.stored(), 'defghijk');
      return;
    }
  });
