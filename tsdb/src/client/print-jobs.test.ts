import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeDelete, describeRetention } from './print-jobs.js';

const job = { id: 'x', state: 'done', error: null };

test('says what a delete did, or would do', () => {
  const result = { rows: 5, days: ['2026-03-01', '2026-03-04'], files_removed: 1, files_rewritten: 2 };
  assert.equal(
    describeDelete({ ...job, result }, false),
    '5 rows were deleted: 2 days, 2026-03-01 to 2026-03-04; 1 files dropped, 2 written anew\n',
  );
  assert.match(
    describeDelete({ ...job, result: { ...result, days: ['2026-03-01'] } }, true),
    /would be deleted: 2026-03-01;/,
  );
  assert.match(describeDelete({ ...job, result: { ...result, days: [] } }, false), /no row matches/);
});

test('says what retention dropped, or would drop', () => {
  assert.match(describeRetention([], true), /kept for ever/);
  const table = { table: 'main.a', kept_from: '2026-03-02', days: 1, files: 2, rows: 3, bytes: 4 };
  assert.match(
    describeRetention([{ ...table, first_day: '2026-03-01', last_day: '2026-03-01' }], true),
    /would leave/,
  );
});
