import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Ingester } from './ingester.js';
import { noonUs, TestLake, type ShipmentRow } from './lake.test.fixture.js';

const dayUs = 86_400_000_000;

let lake: TestLake;
let ingester: Ingester;
const seqs = new Map<string, number>();

beforeEach(async () => {
  lake = await TestLake.open();
  ingester = await lake.openIngester();
  seqs.clear();
});
afterEach(async () => lake.close());

/** One shipment and one commit. */
async function commit(agent: string, rows: readonly ShipmentRow[], by = ingester): Promise<void> {
  const seq = (seqs.get(agent) ?? 0) + 1;
  seqs.set(agent, seq);
  await lake.ship({ agent, seq, rows });
  await lake.runClean(by);
}

const reading = (device: string, us: number, v: number) => ({ time: noonUs + us, device, v });

/** What the last commit looked into, and what it replaced. */
async function changes(work: () => Promise<void>): Promise<{ read: number; kept: boolean; added: number }> {
  const before = new Set((await lake.snapshot()).files.keys());
  lake.acquired.length = 0;
  await work();
  const after = new Set((await lake.snapshot()).files.keys());
  const added = [...after].filter((path) => !before.has(path)).length;
  return { read: lake.acquired.length, kept: [...before].every((path) => after.has(path)), added };
}

test('rows newer than everything known of their series are appended without a look at the table', async () => {
  await commit('x', [reading('a', 0, 1), reading('b', 10, 1)]);
  // Older than the newest row of the table, and than b's.
  assert.deepEqual(await changes(() => commit('x', [reading('a', 5, 2)])), { read: 0, kept: true, added: 1 });
  // A series that nobody knew.
  assert.deepEqual(await changes(() => commit('x', [reading('c', 0, 3)])), { read: 0, kept: true, added: 1 });
  assert.deepEqual(await lake.rowsText(), ['0 a 1', '0 c 3', '5 a 2', '10 b 1']);
});

test('a late or repeated row looks into the files that can hold it, and replaces those that do', async () => {
  await commit('x', [reading('a', 0, 1), reading('a', 10, 1)]);
  await commit('y', [reading('b', 0, 1), reading('b', 10, 1)]);
  assert.deepEqual(await changes(() => commit('x', [reading('a', 5, 2)])), { read: 1, kept: true, added: 1 });
  assert.deepEqual(await changes(() => commit('x', [reading('a', 10, 7), reading('a', 20, 1)])), {
    read: 1,
    kept: false,
    added: 1,
  });
  assert.deepEqual(await lake.rowsText(), ['0 a 1', '0 b 1', '5 a 2', '10 a 7', '10 b 1', '20 a 1']);
});

test('a month that one agent sends late rewrites nothing of the others, nor looks into it', async () => {
  const days = 30;
  const month = (device: string) =>
    Array.from({ length: days }, (_, day) => reading(device, -day * dayUs, 1));
  await commit('x', month('a'));
  await commit('z', month('c'));
  // Its newest row is known, so that all of the month is late.
  await commit('y', [reading('b', dayUs, 1)]);
  const { read, kept, added } = await changes(() => commit('y', month('b')));
  assert.deepEqual({ read, kept, added }, { read: 0, kept: true, added: days });
  assert.equal((await lake.readTable()).length, 3 * days + 1);
});

test('after a restart, with data_dir or without it, the same rows are new', async () => {
  const dataDir = join(lake.dir, 'kept');
  const first = await lake.openIngester({}, { dataDir });
  await commit('x', [reading('a', 0, 1), reading('b', 10, 1)], first);
  await lake.closeRegisters();
  for (const [index, options] of [{ dataDir }, {}].entries()) {
    const us = 100 * (index + 1);
    const next = await lake.openIngester({}, options);
    // The first round after the start may look; meanwhile the lake is read.
    await commit('x', [reading('a', us, 2)], next);
    await lake.registerOf(next).latest(await lake.state());
    const b = await changes(() => commit('x', [reading('b', us, 2)], next));
    assert.deepEqual(b, { read: 0, kept: true, added: 1 });
    await lake.closeRegisters();
  }
});

test('what another process commits counts too', async () => {
  const other = await lake.openIngester();
  await commit('x', [reading('a', 0, 1)]);
  await commit('y', [reading('b', 50, 1)], other);
  await commit('x', [reading('b', 50, 9)]);
  assert.deepEqual(await lake.rowsText(), ['0 a 1', '50 b 9']);
  const { read } = await changes(() => commit('x', [reading('b', 51, 9)]));
  assert.equal(read, 0);
});
