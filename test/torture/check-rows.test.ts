import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { checkRows, isSound, type Ask } from './check-rows.js';

const tenOfOneSeries = () => [
  { site: 'site-1', device: 'device-1', published: 10, acknowledged: new Set([0, 1, 2, 3, 4, 5, 6, 7]) },
];

/** Answers with these n, and with a ledger that owns up to so many. */
const tableOf =
  (ns: readonly number[], owned?: number): Ask =>
  (sql) => {
    if (!sql.includes('varve_losses'))
      return Promise.resolve({ status: 200, body: { rows: ns.map((n) => [n]) } });
    if (owned === undefined) return Promise.resolve({ status: 404, body: { code: 'table_not_found' } });
    return Promise.resolve({ status: 200, body: { rows: [['site-1', owned]] } });
  };

test('every acknowledged message once: sound, and what was not acknowledged may be there or not', async () => {
  assert(isSound(await checkRows(tableOf([0, 1, 2, 3, 4, 5, 6, 7]), tenOfOneSeries())));
  assert(isSound(await checkRows(tableOf([0, 1, 2, 3, 4, 5, 6, 7, 9]), tenOfOneSeries())));
});

test('a missing message is lost, and named, unless the ledger has it', async () => {
  const verdict = await checkRows(tableOf([0, 1, 2, 4, 5, 6, 7]), tenOfOneSeries());
  assert.equal(verdict.lost, 1);
  assert.deepEqual(verdict.details, ['site-1/device-1 misses 1: n 3']);
  assert(!isSound(verdict));
  assert(isSound(await checkRows(tableOf([0, 1, 2, 4, 5, 6, 7], 1), tenOfOneSeries())));
});

test('a second row of a message is a duplicate, a row of no message is invented', async () => {
  const twice = await checkRows(tableOf([0, 1, 2, 3, 3, 4, 5, 6, 7]), tenOfOneSeries());
  assert.deepEqual([twice.duplicated, isSound(twice)], [1, false]);
  const invented = await checkRows(tableOf([0, 1, 2, 3, 4, 5, 6, 7, 10]), tenOfOneSeries());
  assert.deepEqual([invented.invented, isSound(invented)], [1, false]);
});

test('a lost message and a duplicate of another do not cancel out', async () => {
  const verdict = await checkRows(tableOf([0, 1, 2, 2, 4, 5, 6, 7]), tenOfOneSeries());
  assert.deepEqual([verdict.lost, verdict.duplicated], [1, 1]);
});

test('a ledger answers for its own site only, and what it claims too much is said', async () => {
  const elsewhere: Ask = async (sql) =>
    sql.includes('varve_losses')
      ? { status: 200, body: { rows: [['site-2', 1]] } }
      : await tableOf([0, 1, 2, 4, 5, 6, 7])(sql);
  const verdict = await checkRows(elsewhere, tenOfOneSeries());
  assert.deepEqual([verdict.lost, verdict.owned, verdict.overstated], [1, 1, 0]);
  assert.equal((await checkRows(tableOf([0, 1, 2, 4, 5, 6, 7], 3), tenOfOneSeries())).overstated, 2);
});
