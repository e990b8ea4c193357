/** The first step towards 100,000 agents, in simulated time: several ingesters by a hash of the agent, told by notifications. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { simulateFleet, type FleetOptions } from './simulation/fleet/fleet.js';

const seeds = 20;
const fleet: FleetOptions = {
  ...{ agents: 400, shipEveryMs: 10_000, ingesters: 4, shippingMs: 60_000, lostShare: 0.01, seed: 1 },
  ...{ everyMs: 2_000, commitFilesMax: 500, transfersAtOnceMax: 8, workMsPerShipment: 10 },
  ...{ discovery: 'notifications', onConflict: 'put again', sweepEveryMs: 30_000, hasTakeover: true },
};

const simulateSeeds = async (change: Partial<FleetOptions>) =>
  await Promise.all(
    Array.from({ length: seeds }, (_, index) => simulateFleet({ ...fleet, ...change, seed: index + 1 })),
  );

for (const onConflict of ['put again', 'plan anew'] as const)
  test(`${onConflict}: every shipment is in the table once, though notifications are lost and one ingester comes back from the dead`, async () => {
    for (const [index, result] of (await simulateSeeds({ onConflict })).entries()) {
      const { shipments, wrong, missing, conflicts } = result;
      assert.deepEqual({ wrong, missing }, { wrong: [], missing: 0 }, `seed ${index + 1}`);
      assert.equal(shipments, 2_400);
      assert(conflicts > 0, 'nobody met anybody');
    }
  });

test('the same seed, the same fleet', async () => {
  assert.deepEqual(await simulateFleet(fleet), await simulateFleet(fleet));
});

test('planted: who puts again without a look at what others committed takes shipments twice', async () => {
  const results = await simulateSeeds({ isBlind: true });
  assert(results.some(({ wrong }) => wrong.length > 0));
});

test('planted: without a listing now and then, what nobody tells of and nothing follows is never taken', async () => {
  const results = await simulateSeeds({ sweepEveryMs: Infinity, hasTakeover: false });
  assert(results.some(({ missing }) => missing > 0));
});

test('many ingesters on one table: planning anew after each conflict starves them, putting again does not', async () => {
  const many = { agents: 20_000, ingesters: 32, workMsPerShipment: 5, hasTakeover: false, lostShare: 0 };
  const again = await simulateFleet({ ...fleet, ...many });
  assert.deepEqual([again.missing, again.gaveUp], [0, 0]);
  const anew = await simulateFleet({ ...fleet, ...many, onConflict: 'plan anew' });
  assert(anew.missing > anew.shipments / 2, `${anew.missing} of ${anew.shipments}`);
});
