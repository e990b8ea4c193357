/**
 * The core of the agent in 10,000 schedules of everything that can come between (`simulation/simulation.ts`), and the proof that
 * they find faults.
 *
 * `VARVE_SIMULATION_SEED=7` runs one schedule and prints it; `VARVE_SIMULATION_COUNT` says how many instead of 10,000,
 * `VARVE_SIMULATION_FIRST` which comes first.
 */
import { strict as assert } from 'node:assert';
import { fork } from 'node:child_process';
import { test } from 'node:test';
import { systemClock } from '@varve/common/clock.js';
import { sights } from './simulation/effects.js';
import { plantedFaults, type PlantedFault } from './simulation/planted-faults.js';
import type { Tally } from './simulation/run-seeds.js';
import { runSchedule } from './simulation/simulation.js';

const {
  VARVE_SIMULATION_SEED: onlySeed,
  VARVE_SIMULATION_COUNT: countText = '10000',
  VARVE_SIMULATION_FIRST: firstText = '1',
} = process.env;
const processes = 2;
/** Of each fault that is planted; every one is found within 400. */
const plantedSeedsMax = 600;
/** A run this long must have seen everything there is to see, in at least one schedule of so many. */
const seenOnceIn = 500;

test(
  'whatever comes between, whatever is acknowledged is shipped once or in the ledger',
  { timeout: 280_000 },
  async (context) => {
    if (onlySeed !== undefined) {
      const { trace, violation } = await runSchedule(Number(onlySeed), { isTraced: true });
      process.stdout.write(`${trace.join('\n')}\n`);
      assert.ifError(violation);
      return;
    }
    const count = Number(countText);
    const each = Math.ceil(count / processes);
    const startedMs = systemClock.monotonicMs();
    const tallies = await Promise.all(
      Array.from({ length: processes }, (_, index) => runSeeds(Number(firstText) + index * each, each)),
    );
    const seconds = (systemClock.monotonicMs() - startedMs) / 1_000;
    const sum = (of: (tally: Tally) => number) => tallies.reduce((total, tally) => total + of(tally), 0);
    context.diagnostic(
      `${sum((t) => t.schedules)} schedules of ${sum((t) => t.steps)} steps in ${seconds.toFixed(1)} s`,
    );
    const [failure] = tallies.flatMap(({ failures }) => failures);
    if (failure) assert.fail(await explain(failure.seed));
    for (const sight of sights) {
      const times = sum(({ seen }) => seen[sight] ?? 0);
      assert(
        times >= Math.floor(count / seenOnceIn),
        `"${sight}" was seen in ${times} of ${count} schedules only`,
      );
    }
  },
);

for (const planted of Object.keys(plantedFaults) as PlantedFault[])
  test(
    `a planted fault is found: ${plantedFaults[planted]}`,
    { skip: onlySeed !== undefined },
    async (context) => {
      for (let seed = 1; seed <= plantedSeedsMax; seed++) {
        const { violation } = await runSchedule(seed, { planted });
        if (!violation) continue;
        context.diagnostic(`found with seed ${seed}: ${violation.message}`);
        const again = await runSchedule(seed, { planted });
        assert.equal(again.violation?.message, violation.message, 'the same seed, the same schedule');
        return;
      }
      assert.fail(`not found in ${plantedSeedsMax} schedules`);
    },
  );

/** The schedule that failed, once more, with what led there. */
async function explain(seed: number): Promise<string> {
  const { trace, violation } = await runSchedule(seed, { isTraced: true });
  const how = `VARVE_SIMULATION_SEED=${seed} npm test -- simulation.test`;
  return [
    `seed ${seed}: ${violation?.message ?? 'not wrong the second time'}`,
    `all of it: ${how}`,
    ...trace.slice(-60),
  ].join('\n');
}

function runSeeds(firstSeed: number, count: number): Promise<Tally> {
  // Its garbage is young and much: collected on the spot, in large portions, it takes half the time.
  const execArgv = ['--single-threaded-gc', '--max-semi-space-size=64'];
  const path = new URL('./simulation/run-seeds.js', import.meta.url);
  const child = fork(path, [String(firstSeed), String(count)], { execArgv });
  return new Promise((resolve, reject) => {
    child.once('message', (tally) => resolve(tally as Tally));
    child.once('error', reject);
    child.once('exit', (code) =>
      reject(new Error(`seeds from ${firstSeed} ended with code ${code ?? 'none'}`)),
    );
  });
}
