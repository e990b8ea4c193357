/**
 * Queries that take memory beside DuckDB's limit. The machine is told to be small, so that 256 MB are too much.
 */
import assert from 'node:assert/strict';
import { memoryUsage } from 'node:process';
import { after, before, test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';

let fixture: QueryFixture;
before(async () => {
  fixture = await QueryFixture.open();
  await fixture.startEngine(128e6, 1e9, 1);
});
after(() => fixture.close());

async function ask(sql: string): Promise<unknown[][]> {
  const answer = await fixture.engine.query({ sql, timeoutMs: 4_000 }, new AbortController().signal);
  let text = '';
  for await (const piece of renderAnswer(answer)) text += String(piece);
  return (JSON.parse(text) as { rows: unknown[][] }).rows;
}

async function whileWatched<T>(work: Promise<T>): Promise<{ growth: number; result: T }> {
  const start = memoryUsage.rss();
  let peak = start;
  const timer = setInterval(() => (peak = Math.max(peak, memoryUsage.rss())), 5);
  try {
    return { result: await work, growth: peak - start };
  } finally {
    clearInterval(timer);
  }
}

const unbounded = [
  'select median(i) from range(100000000000) r(i)',
  'select quantile_cont(i::double, [0.1, 0.9]) from range(100000000000) r(i)',
  'select i % 100 as k, mad(i) from range(100000000000) r(i) group by k',
  'select mode(i) from range(100000000000) r(i)',
];
for (const sql of unbounded)
  test(`ended before it takes all memory: ${sql}`, async () => {
    const { result, growth } = await whileWatched(ask(sql).catch((error: unknown) => error));
    assert.ok(isFailure(result, 'memory_limit_exceeded'), String(result));
    assert.match(result.hint ?? '', /approx_quantile/);
    assert.ok(growth < 1.2e9, `${Math.round(growth / 1e6)} MB more`);
    const [last] = fixture.engine.queries.recent();
    assert.deepEqual([last?.state, last?.code], ['failed', 'memory_limit_exceeded']);
  });

test('ends no query but that one', async () => {
  const sending = await fixture.engine.query(
    { sql: 'from range(100000000)', rowsMax: 1e9 },
    new AbortController().signal,
  );
  const batches = sending.batches();
  await batches.next();
  let isDone = false;
  const heavy = ask('select median(i) from range(100000000000) r(i)')
    .catch((error: unknown) => error)
    .finally(() => (isDone = true));
  while (!isDone) {
    assert.deepEqual(await ask('select count(*) from range(1000)'), [[1_000]]);
    assert.equal((await batches.next()).done, false);
  }
  assert.ok(isFailure(await heavy, 'memory_limit_exceeded'));
  assert.equal((await batches.next()).done, false);
  await sending.close();
  assert.deepEqual(fixture.engine.status, { running: 0, waiting: 0 });
});

test('lets queries be that stay within', async () => {
  assert.deepEqual(await ask('select median(i) from range(2000000) r(i)'), [[999_999.5]]);
});
