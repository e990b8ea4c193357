import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { DuckDb } from '../delta/duckdb.js';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { defaultIngestLimits } from './ingest-limits.js';
import { noonUs, TestLake, type TestShipment } from './lake.test.fixture.js';
import { loadShipments } from './load-shipments.js';
import type { StagedShipment } from './staging.js';

let lake: TestLake;
let duckDb: DuckDb;
beforeEach(async () => {
  lake = await TestLake.open();
  duckDb = new DuckDb({ tempDir: lake.dir, memoryBytesMax: 2 ** 28, tempBytesMax: 2 ** 30, threads: 1 });
});
afterEach(async () => {
  await duckDb.close();
  await lake.close();
});

const row = (us: number, v: number) => ({ time: noonUs + us, device: 'a', v });
const shipments: readonly TestShipment[] = [
  { agent: 'a', rows: [row(1, 1), row(1, 2)] },
  { agent: 'b', rows: [row(1, 3), row(2, 4)] },
  { agent: 'c', rows: [] },
  { agent: 'd', types: { v: 'long', w: 'string' }, rows: [{ ...row(3, 5), w: 'x' }] },
  { agent: 'e', decimals: { v: 2 }, rows: [row(4, 6.25)] },
  { agent: 'f', types: { v: 'double', filename: 'string' }, rows: [{ ...row(5, 7), filename: 'mine' }] },
];

async function stage(all: readonly (TestShipment | 'broken')[]): Promise<StagedShipment[]> {
  return await Promise.all(
    all.map(async (shipment, index) => {
      const key = { agent: 'z', epoch: 'e1', lane: 'data', database: 'main', table: 'climate', seq: 1 };
      const parts = shipment === 'broken' ? key : { ...key, agent: shipment.agent ?? '' };
      const path = join(lake.dir, `[${index}]*.parquet`);
      await writeFile(path, shipment === 'broken' ? 'broken' : await lake.parquet(shipment));
      return { path, object: { key: parts.agent, parts, bytes: 1 } };
    }),
  );
}

/** All rows with their order, and what was said of them; how many statements it took. */
async function load(staged: readonly StagedShipment[], kind: 'rows' | undefined) {
  return await duckDb.withSession(async (session) => {
    let statements = 0;
    const counted: typeof session = {
      ...session,
      run: (sql) => (statements++, session.run(sql)),
      rows: (sql) => (statements++, session.rows(sql)),
    };
    const { rawTables, ...loaded } = await loadShipments(counted, kind, staged, defaultIngestLimits);
    const taken = statements;
    const texts: string[] = [];
    for (const { name } of rawTables)
      for (const each of await session.rows(`SELECT * REPLACE (epoch_us(time) AS time) FROM ${name}`))
        texts.push(
          Object.entries(each)
            .map((pair) => pair.map(String).join('='))
            .join(' '),
        );
    const said = {
      rowCount: loaded.rowCount,
      agents: loaded.objects.map(({ key }) => key),
      rejected: loaded.rejections.length,
    };
    return { texts: texts.sort(), said, statements: taken };
  });
}

test('together or one by one: the same rows, in the same order', async () => {
  // With a broken one among them they are looked at one by one.
  const [staged, withBroken] = [await stage(shipments), await stage([...shipments, 'broken'])];
  const [together, first] = [await load(staged, 'rows'), await load(staged, undefined)];
  const single = await load(withBroken, undefined);
  assert.deepEqual(together.texts, single.texts);
  assert.deepEqual(together.said, { ...single.said, rejected: 0 });
  assert.deepEqual(first, together, "a table's first shipments, too");
  assert.equal(together.said.rowCount, 7);
  assert.ok(together.statements < single.statements / 1.5, `${together.statements} of ${single.statements}`);
});

test('what the first shipments say of a table: rows, nothing yet, or aggregates', async () => {
  const blank: TestShipment[] = ['a', 'b', 'c', 'd'].map((agent) => ({
    agent,
    tags: [],
    types: {},
    rows: [],
  }));
  const kindAfter = async (all: readonly TestShipment[]) => {
    const staged = await stage(all);
    const { kind, rejections } = await duckDb.withSession((session) =>
      loadShipments(session, undefined, staged, defaultIngestLimits),
    );
    return [typeof kind === 'object' ? kind.everyMs : kind, rejections.length];
  };
  assert.deepEqual(await kindAfter(blank), [undefined, 0]);
  assert.deepEqual(await kindAfter([...blank, ...shipments]), ['rows', 0]);
  const aggregates: TestShipment = {
    agent: 'g',
    aggregate: { everyMs: 60_000 },
    tags: [],
    types: {},
    rows: [],
  };
  assert.deepEqual(await kindAfter([...blank, aggregates]), [60_000, 0]);
  assert.deepEqual(await kindAfter([...shipments, aggregates]), ['rows', 1]);
  assert.deepEqual(await kindAfter([aggregates, ...shipments.slice(0, 4)]), [60_000, 4]);
});

test('with a broken one among them all others are loaded, and it alone is rejected', async () => {
  const staged = await stage([...shipments, 'broken']);
  const { texts, said } = await load(staged, 'rows');
  assert.equal(texts.length, 7);
  assert.deepEqual(said, { rowCount: 7, agents: ['a', 'b', 'c', 'd', 'e', 'f'], rejected: 1 });
});

test('a hundred shipments of ten rows take a few statements', async () => {
  const many = Array.from({ length: 100 }, (_, index): TestShipment => ({
    agent: `a${index}`,
    rows: [row(index, 1)],
  }));
  const { said, statements } = await load(await stage(many), 'rows');
  assert.equal(said.rowCount, 100);
  assert.ok(statements < 10, `${statements} statements`);
});
