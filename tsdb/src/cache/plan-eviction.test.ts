import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planEviction, type EvictionCandidate } from './plan-eviction.js';

const copy = (key: string, bytes: number, leases = 0): EvictionCandidate => ({ key, bytes, leases });
const total = (copies: EvictionCandidate[]) => copies.reduce((sum, { bytes }) => sum + bytes, 0);
const plan = (copies: EvictionCandidate[], bytesMax: number) => planEviction(copies, total(copies), bytesMax);

test('lets nothing go while everything fits', () =>
  assert.deepEqual(plan([copy('a', 5), copy('b', 5)], 10), []));
test('lets the longest unused go first', () =>
  assert.deepEqual(plan([copy('a', 5), copy('b', 5)], 9), ['a']));
test('lets as many go as it takes', () =>
  assert.deepEqual(plan([copy('a', 5), copy('b', 5), copy('c', 5)], 5), ['a', 'b']));
test('passes over copies in use', () =>
  assert.deepEqual(plan([copy('a', 5, 1), copy('b', 5), copy('c', 5)], 10), ['b']));
test('lets too much stay where everything is in use', () =>
  assert.deepEqual(plan([copy('a', 5, 1), copy('b', 5, 2)], 1), []));

const copies = fc.uniqueArray(fc.record({ key: fc.string(), bytes: fc.nat(100), leases: fc.nat(1) }), {
  selector: ({ key }) => key,
});
test('what stays fits, or is all in use; what goes was not', () => {
  fc.assert(
    fc.property(copies, fc.nat(1_000), (candidates, bytesMax) => {
      const gone = new Set(plan(candidates, bytesMax));
      const kept = candidates.filter(({ key }) => !gone.has(key));
      assert.ok(candidates.every(({ key, leases }) => leases === 0 || !gone.has(key)));
      assert.ok(total(kept) <= bytesMax || kept.every(({ leases }) => leases > 0));
    }),
  );
});
