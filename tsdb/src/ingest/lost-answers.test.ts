/**
 * Ingesters and a compactor race on a store that loses answers of `putIfAbsent` after the object has landed, and often the
 * look that would tell. Chance decides which; a run that fails prints fast-check's seed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '@varve/common/clock.js';
import { tablesPrefix } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import { silentLogger } from '@varve/common/log.js';
import fc from 'fast-check';
import type { Action } from '../delta/actions.js';
import { DeltaCatalog } from '../delta/catalog.js';
import { DeltaLog } from '../delta/delta-log.js';
import { defaultCompactionPolicy } from '../upkeep/plan-compaction.js';
import { openTestUpkeep } from '../upkeep/upkeep.test.fixture.js';
import { noonUs, TestLake, type ShipmentRow } from './lake.test.fixture.js';

const name = { database: 'main', table: 'climate' };
const agents = ['x', 'y'];
const seqMax = 5;
/** Of 100. */
const [lostAnswers, failedLooks] = [35, 20];

/** Two new rows, and a late value for those of the shipment before. */
function rowsOf(agent: string, seq: number): ShipmentRow[] {
  return ['a', 'b'].flatMap((device) => [
    { time: noonUs + seq, device: `${agent}-${device}`, v: seq, w: null },
    { time: noonUs + seq - 1, device: `${agent}-${device}`, v: null, w: seq },
  ]);
}

function expectedRows(): string[] {
  const rows = agents.flatMap((agent) =>
    ['a', 'b'].flatMap((device) =>
      Array.from({ length: seqMax + 1 }, (_, seq) =>
        [seq, `${agent}-${device}`, seq === 0 ? null : seq, seq === seqMax ? null : seq + 1].join(' '),
      ),
    ),
  );
  return rows.sort();
}

/** Numbers below 100. */
type Chance = () => number;

function plant(lake: TestLake, chance: Chance): void {
  lake.store.faults.before = async (operation, key) => {
    for (let turn = 0; turn < chance() % 4; turn += 1) await setImmediate();
    // Long enough for others to come first.
    if (operation === 'putIfAbsent' && key.includes('/_delta_log/')) await systemClock.sleep(chance() / 2);
    if (operation === 'head' && key.startsWith(tablesPrefix) && chance() < failedLooks) throw lost();
  };
  lake.store.faults.after = (operation, key) => {
    if (operation === 'putIfAbsent' && key.startsWith(tablesPrefix) && chance() < lostAnswers) throw lost();
  };
}

const lost = () => new Failure('store_unavailable', 'the connection broke');

test('racing ingesters and a compactor, answers of puts lost: every row once, every version one commit', async () => {
  const stream = fc.infiniteStream(fc.nat({ max: 99 }));
  await fc.assert(
    fc.asyncProperty(stream, async (numbers) => {
      const lake = await TestLake.open();
      try {
        await race(lake, () => Number(numbers.next().value));
        await check(lake);
      } finally {
        await lake.close();
      }
    }),
    { numRuns: 6, endOnFailure: true },
  );
});

async function race(lake: TestLake, chance: Chance): Promise<void> {
  plant(lake, chance);
  const stop = new AbortController();
  const compacting = compactUntil(lake, stop.signal);
  await Promise.all([...agents.map((agent) => shipAll(lake, agent)), drain(lake), drain(lake)]);
  stop.abort();
  await compacting;
  lake.store.faults.before = lake.store.faults.after = undefined;
}

async function shipAll(lake: TestLake, agent: string): Promise<void> {
  for (let seq = 1; seq <= seqMax; seq += 1)
    await lake.ship({ agent, seq, types: { v: 'double', w: 'double' }, rows: rowsOf(agent, seq) });
}

/** An ingester's rounds until all shipments are in. */
async function drain(lake: TestLake): Promise<void> {
  const ingester = await lake.openIngester();
  for (;;) {
    await unlessStoreFails(ingester.runOnce());
    const state = await unlessStoreFails(lake.snapshot());
    const seqs = [...(state?.transactions.values() ?? [])];
    if (seqs.reduce((sum, seq) => sum + seq, 0) === agents.length * seqMax) return;
  }
}

async function compactUntil(lake: TestLake, signal: AbortSignal): Promise<void> {
  const catalog = new DeltaCatalog(lake.store, systemClock, silentLogger());
  const policy = { ...defaultCompactionPolicy, filesMin: 2, settleMs: 0 };
  const { upkeep } = await openTestUpkeep(lake, { catalog, policy });
  while (!signal.aborted) {
    await unlessStoreFails(catalog.refresh());
    await upkeep.compactor.runOnce(signal);
    await setImmediate();
  }
  await upkeep.close();
}

async function unlessStoreFails<T>(work: Promise<T>): Promise<T | undefined> {
  return await work.catch((error: unknown) => {
    if (isFailure(error) || String(error).includes('there is no table')) return undefined;
    throw error;
  });
}

async function check(lake: TestLake): Promise<void> {
  const rows = (await lake.readTable()).map(({ time, device, v, w }) =>
    [Number(time) - noonUs, device, v, w].join(' '),
  );
  assert.deepEqual(rows.sort(), expectedRows());
  const actions: Action[] = [];
  // Fails where a version is missing.
  for await (const commit of new DeltaLog(lake.store, systemClock).readTail(name, -1))
    actions.push(...commit.actions);
  const added = actions.flatMap((action) => ('add' in action ? [action.add.path] : []));
  assert.equal(new Set(added).size, added.length, 'no file is added twice');
  for (const agent of agents) {
    const seqs = actions.flatMap((action) =>
      'txn' in action && action.txn.appId.includes(`/${agent}/`) ? [action.txn.version] : [],
    );
    assert.deepEqual(
      seqs,
      [...new Set(seqs)].sort((left, right) => left - right),
      agent,
    );
    assert.equal(seqs.at(-1), seqMax);
  }
}
