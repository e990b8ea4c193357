import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { deltaCheckpointKey, deltaCommitKey, deltaLogPrefix } from '@varve/common/contract/object-keys.js';
import { silentLogger } from '@varve/common/log.js';
import { MemoryStore } from '@varve/common/store/memory-store.js';
import { ourProtocol, type Action } from './actions.js';
import { DeltaCatalog } from './catalog.js';
import { DeltaLog, type CommitSummary } from './delta-log.js';
import { LogKeeper } from './log-keeper.js';
import { putPin } from './pins.js';
import { createMetaData } from './table-metadata.js';

const name = { database: 'main', table: 'climate' };
const metaData = createMetaData(name, { columns: { tags: [], fields: [] } }, 0);
const dayMs = 86_400_000;
const summary: CommitSummary = {
  operation: 'STREAMING UPDATE',
  operationParameters: {},
  operationMetrics: {},
  isBlindAppend: true,
};
const add = (version: number): Action => ({
  add: {
    path: `day=2026-11-20/part-${version}.parquet`,
    partitionValues: { day: '2026-11-20' },
    size: 10,
    modificationTime: 7,
    dataChange: true,
  },
});

/** A table that gets a commit every six hours. */
class Scene {
  nowMs = Date.parse('2026-11-20');
  readonly clock = { ...systemClock, nowMs: () => this.nowMs };
  readonly store = new MemoryStore({ clock: this.clock });
  readonly catalog = new DeltaCatalog(this.store, this.clock, silentLogger());
  readonly log = new DeltaLog(this.store, this.clock);
  readonly keeper = this.openKeeper();

  openKeeper(catalog = this.catalog): LogKeeper {
    return new LogKeeper({ store: this.store, catalog, clock: this.clock, log: silentLogger() });
  }

  async commit(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const version = ((await this.catalog.refreshTable(name))?.version ?? -1) + 1;
      const created: Action[] = version === 0 ? [{ protocol: ourProtocol }, { metaData }] : [];
      const { actions } = await this.log.commit(name, version, summary, [...created, add(version)]);
      this.catalog.applied(name, version, actions);
      this.nowMs += dayMs / 4;
    }
  }

  async logFiles(): Promise<string[]> {
    const files: string[] = [];
    for await (const { key } of this.store.list(deltaLogPrefix(name)))
      files.push(key.slice(deltaLogPrefix(name).length).replace(/^0+(?=\d)/, ''));
    return files;
  }

  async fileCount(): Promise<number | undefined> {
    const catalog = new DeltaCatalog(this.store, this.clock, silentLogger());
    const state = await catalog.refreshTable(name);
    await catalog.close();
    return state?.files.size;
  }
}

test('every twenty commits there is a checkpoint, and what no reader needs goes', async () => {
  const scene = new Scene();
  for (let round = 0; round < 4; round += 1) {
    await scene.commit(20);
    await scene.keeper.runOnce();
  }
  // 28 commits are seven days; the checkpoint before them is that of version 39.
  const files = await scene.logFiles();
  assert.deepEqual(files.slice(0, 3), ['39.checkpoint.parquet', '39.json', '40.json']);
  assert.ok(files.includes('79.checkpoint.parquet') && files.includes('_last_checkpoint'));
  assert.equal(await scene.fileCount(), 80);
});

test('who only reads writes no checkpoint, unless the writer is gone', async () => {
  const scene = new Scene();
  await scene.commit(99);
  const catalog = new DeltaCatalog(scene.store, scene.clock, silentLogger());
  const keeper = scene.openKeeper(catalog);
  await catalog.refresh();
  await keeper.runOnce();
  assert.equal(await scene.store.head(deltaCheckpointKey(name, 98)), undefined);
  await scene.commit(1);
  await catalog.refresh();
  await keeper.runOnce();
  assert.ok(await scene.store.head(deltaCheckpointKey(name, 99)));
});

test('a pinned version outlives the clean-up, a clock that runs ahead deletes nothing', async () => {
  const scene = new Scene();
  for (let round = 0; round < 3; round += 1) {
    await scene.commit(20);
    if (round === 0) await putPin(scene.store, name, 19, 0);
    if (round === 2) break;
    await scene.keeper.runOnce();
  }
  const storeMs = scene.nowMs;
  scene.nowMs += 1_000 * dayMs;
  await scene.openKeeper().runOnce();
  assert.ok(
    (await scene.logFiles()).includes('31.json'),
    'seven days before the newest commit, by the store',
  );
  scene.nowMs = storeMs;
  const files = await scene.logFiles();
  assert.deepEqual(files.slice(0, 2), ['19.checkpoint.parquet', '19.json']);
});

for (const phase of ['before', 'after'] as const)
  test(`killed ${phase} any request: the table can be read, and the next round makes it good`, async () => {
    for (let at = 0; ; at += 1) {
      const scene = new Scene();
      await scene.commit(20);
      await scene.keeper.runOnce();
      await scene.commit(35);
      let count = 0;
      scene.store.faults[phase] = () => {
        if (count++ >= at) throw new Error('killed');
      };
      await scene
        .openKeeper()
        .runOnce()
        .catch(() => undefined);
      scene.store.faults[phase] = undefined;
      assert.equal(await scene.fileCount(), 55, `killed ${phase} request ${at}`);
      await scene.openKeeper().runOnce();
      assert.equal(await scene.fileCount(), 55, `killed ${phase} request ${at}, next round`);
      assert.ok(await scene.store.head(deltaCheckpointKey(name, 54)));
      assert.equal(await scene.store.head(deltaCommitKey(name, 12)), undefined);
      await scene.catalog.close();
      if (count > at) continue;
      assert.ok(at > 30, `only ${at} requests`);
      return;
    }
  });
