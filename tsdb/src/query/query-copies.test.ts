import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, Faraway } from './faraway.test.fixture.js';
import { QueryFixture } from './query.test.fixture.js';

test('answers from copies where the store is elsewhere, also when there is room for none', async () => {
  const fixture = await QueryFixture.open();
  await fixture.put({
    table: 'environment',
    files: [
      "select timestamptz '2026-01-01 00:00:00Z' + to_minutes(i) as time, date '2026-01-01' as day from range(100) r(i)",
      "select timestamptz '2026-01-02 00:00:00Z' + to_minutes(i) as time, date '2026-01-02' as day from range(100) r(i)",
    ],
  });
  const faraway = await Faraway.open(fixture, { bytesMax: 1 });
  for (let round = 0; round < 3; round++) {
    const { rows, bytes } = await ask(faraway.engine, 'select count(*)::int as n from environment');
    assert.deepEqual(rows, ['200']);
    assert.ok(bytes > 1);
    assert.equal(faraway.cache.status.bytes, 0);
  }
  assert.equal((await faraway.traffic()).requests, 6);
  await faraway.close();
  await fixture.close();
});
