import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '@varve/common/clock.js';
import { PersistentMap } from './persistent-map.js';

const change = fc.record({ key: fc.integer({ min: 0, max: 700 }).map(String), value: fc.option(fc.nat()) });

test('every version of a map stays equal to a plain one, whatever is edited later', () => {
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 400 }), { maxLength: 12 }), (edits) => {
      let map = PersistentMap.empty<number>();
      const versions: [PersistentMap<number>, Map<string, number>][] = [];
      for (const changes of edits) {
        const edit = map.edit();
        const model = new Map(versions.at(-1)?.[1]);
        for (const { key, value } of changes) {
          if (value === null) edit.delete(key);
          else edit.set(key, value);
          if (value === null) model.delete(key);
          else model.set(key, value);
        }
        map = edit.finish();
        versions.push([map, model]);
      }
      for (const [version, model] of versions) {
        assert.equal(version.size, model.size);
        assert.deepEqual(new Map(version), model);
        assert.deepEqual(new Set(version.keys()), new Set(model.keys()));
        assert.deepEqual([...version.values()].sort(), [...model.values()].sort());
        for (const key of ['0', '1', '699', 'x']) assert.equal(version.get(key), model.get(key));
        for (const key of ['0', '1', '699', 'x']) assert.equal(version.has(key), model.has(key));
      }
    }),
    { numRuns: 50 },
  );
});

test('an edit of a large map costs what it changes', () => {
  const edit = PersistentMap.empty<number>().edit();
  for (let index = 0; index < 200_000; index += 1) edit.set(`day=2026-11-20/part-${index}`, index);
  let map = edit.finish();
  const startedMs = systemClock.monotonicMs();
  for (let index = 0; index < 1_000; index += 1) {
    const next = map.edit();
    next.set(`new-${index}`, index);
    map = next.finish();
  }
  assert.equal(map.size, 201_000);
  assert.ok(systemClock.monotonicMs() - startedMs < 5_000, 'a thousand copies of all take half a minute');
});
