import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { planDeletable } from './plan-deletable.js';

test('what lies between the kept ranges goes, and nothing above the bound', () => {
  const kept = [
    { firstSeq: 40, endSeq: 50 },
    { firstSeq: 10, endSeq: 20 },
    { firstSeq: 15, endSeq: 25 },
  ];
  assert.deepEqual(planDeletable(kept, 60), [
    { firstSeq: 0, endSeq: 10 },
    { firstSeq: 25, endSeq: 40 },
    { firstSeq: 50, endSeq: 60 },
  ]);
  assert.deepEqual(planDeletable(kept, 30), [
    { firstSeq: 0, endSeq: 10 },
    { firstSeq: 25, endSeq: 30 },
  ]);
  assert.deepEqual(planDeletable([], 0), []);
});

test('a message goes exactly when it is below the bound and in no kept range', () => {
  const range = fc
    .tuple(fc.nat(60), fc.nat(20))
    .map(([firstSeq, count]) => ({ firstSeq, endSeq: firstSeq + count }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 6 }), fc.nat(80), (kept, belowSeq) => {
      const gaps = planDeletable(kept, belowSeq);
      const isIn = (ranges: typeof kept, seq: number) =>
        ranges.some(({ firstSeq, endSeq }) => seq >= firstSeq && seq < endSeq);
      for (let seq = 0; seq < 100; seq++)
        assert.equal(isIn(gaps, seq), seq < belowSeq && !isIn(kept, seq), `message ${seq}`);
    }),
  );
});
