import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { describeKinds, faultKinds, nameFault, planFaults, type PlanOptions } from './plan-faults.js';

const options: PlanOptions = { seed: 1, runMs: 300_000, kinds: faultKinds, agentCount: 2, tsdbCount: 2 };

test('the same seed plans the same faults, another seed others', () => {
  assert.deepEqual(planFaults(options), planFaults(options));
  assert.notDeepEqual(planFaults(options), planFaults({ ...options, seed: 2 }));
});

test('five minutes hold at least 100 faults, of every kind', () => {
  const faults = planFaults(options);
  assert(faults.length >= 100, `${faults.length} faults`);
  assert.deepEqual(new Set(faults.map(({ kind }) => kind)), new Set(faultKinds));
});

test('twenty seconds hold at least 8 faults of at least 6 kinds', () => {
  for (let seed = 0; seed < 200; seed++) {
    const faults = planFaults({ ...options, seed, runMs: 20_000 });
    assert(faults.length >= 8, `seed ${seed}: ${faults.length} faults`);
    assert(new Set(faults.map(({ kind }) => kind)).size >= 6, `seed ${seed}: ${describeKinds(faults)}`);
  }
});

test('no agent is struck again before it has had a moment to recover', () => {
  for (let seed = 0; seed < 50; seed++) {
    const ofAgent = planFaults({ ...options, seed }).filter(
      ({ kind, target }) => kind.endsWith('agent') && target === 0,
    );
    for (const [index, fault] of ofAgent.entries()) {
      const before = ofAgent[index - 1];
      if (before) assert(fault.atMs >= before.atMs + before.lastsMs + 1_000, nameFault(fault));
    }
  }
});

test('only what can be done is planned, and only on what is there', () => {
  const faults = planFaults({ ...options, kinds: ['kill agent', 'kill tsdb'], agentCount: 1, tsdbCount: 1 });
  assert.deepEqual(new Set(faults.map(nameFault)), new Set(['kill agent 1', 'kill tsdb 1']));
});
