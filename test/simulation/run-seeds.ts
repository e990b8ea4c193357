/** A process that runs many schedules, and tells its parent what came of them. Arguments: the first seed, and how many. */
import { strict as assert } from 'node:assert';
import type { Sight } from './effects.js';
import { runSchedule } from './simulation.js';

export interface Tally {
  schedules: number;
  steps: number;
  /** In how many schedules. */
  readonly seen: Partial<Record<Sight, number>>;
  readonly failures: { readonly seed: number; readonly violation: string }[];
}

/** After these the rest says little. */
const failuresMax = 5;

async function runSeeds(firstSeed: number, count: number): Promise<Tally> {
  const tally: Tally = { schedules: 0, steps: 0, seen: {}, failures: [] };
  for (let seed = firstSeed; seed < firstSeed + count && tally.failures.length < failuresMax; seed++) {
    const { steps, seen, violation } = await runSchedule(seed);
    tally.schedules++;
    tally.steps += steps;
    for (const sight of seen) tally.seen[sight] = (tally.seen[sight] ?? 0) + 1;
    if (violation) tally.failures.push({ seed, violation: violation.message });
  }
  return tally;
}

const [firstSeed, count] = process.argv.slice(2).map(Number);
assert(firstSeed !== undefined && count !== undefined, 'two numbers are needed');
process.send?.(await runSeeds(firstSeed, count));
