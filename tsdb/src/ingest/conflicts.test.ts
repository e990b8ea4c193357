import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { describeConflicts } from '../http/conflict-routes.js';
import type { Ingester } from './ingester.js';
import { noonUs, TestLake } from './lake.test.fixture.js';

const climate = { database: 'main', table: 'climate' };
let lake: TestLake;
beforeEach(async () => void (lake = await TestLake.open()));
afterEach(async () => lake.close());

const rows = (...values: (number | string)[]) =>
  values.map((v, index) => ({ time: noonUs + index, device: 'a', v }));

async function conflictsText(ingester: Ingester): Promise<string[]> {
  const { conflicts } = describeConflicts(await lake.snapshot(), ingester.conflictsOf(climate));
  return conflicts.map(({ column, type, conflicting_type, stored_in, first_agent, values, agents }) => {
    const counted = agents.map(({ agent, values: of }) => `${agent} ${of}`).join(', ');
    return `${column} ${type}/${conflicting_type} in ${stored_in}, first ${String(first_agent)}: ${values} (${counted})`;
  });
}

test('conflicts: what differed, from whom first, and how often from each agent', async () => {
  const dataDir = join(lake.dir, 'tsdb');
  const ingester = await lake.openIngester({}, { dataDir });
  await lake.ship({ rows: rows(1.25, 2.5), decimals: { v: 2 } });
  await lake.runClean(ingester);
  assert.deepEqual(await conflictsText(ingester), []);
  await lake.ship({ agent: 'x', rows: rows(1.111, 2.25, 3.333), decimals: { v: 2 } });
  await lake.ship({ agent: 'y', rows: rows(4.444) });
  await lake.ship({ agent: 'z', rows: rows('on', 'off'), types: { v: 'string' } });
  await lake.runClean(ingester);
  await lake.ship({ agent: 'y', seq: 2, rows: rows(5.555) });
  await lake.runClean(ingester);
  const expected = [
    'v double/double in v__double, first x: 4 (x 2, y 2)',
    'v double/string in v__string, first z: 2 (z 2)',
  ];
  assert.deepEqual(await conflictsText(ingester), expected);
  await ingester.close();
  assert.deepEqual(await conflictsText(await lake.openIngester({}, { dataDir })), expected);
  assert.deepEqual(await conflictsText(await lake.openIngester()), [
    'v double/double in v__double, first x: 0 ()',
    'v double/string in v__string, first z: 0 ()',
  ]);
});
