import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countEvent, describeTally, emptyTally, isSuccess, type TestEvent } from './tally.js';

const passed: TestEvent = {
  outcome: 'pass',
  name: 'a row is a row',
  kind: 'test',
  file: '/rows.test.js',
  skip: undefined,
  todo: undefined,
  failureType: undefined,
};
const skippedForS3: TestEvent = { ...passed, skip: 'needs S3: set VARVE_TEST_S3' };

function tallyOf(events: readonly TestEvent[], required: readonly string[] = []) {
  const tally = emptyTally();
  for (const event of events) countEvent(tally, event, required);
  return tally;
}

test('tests that pass make a success', () => assert.ok(isSuccess(tallyOf([passed]))));
test('no test is no success', () => assert.ok(!isSuccess(tallyOf([]))));
test('tests that were all skipped are no success', () => assert.ok(!isSuccess(tallyOf([skippedForS3]))));
test('one failure is no success', () => {
  assert.ok(!isSuccess(tallyOf([passed, { ...passed, outcome: 'fail' }])));
});
test('a file that took too long is no success', () => {
  const timeout: TestEvent = { ...passed, outcome: 'fail', failureType: 'testTimeoutFailure' };
  assert.ok(!isSuccess(tallyOf([passed, timeout])));
});
test('a file without a test is no success', () => {
  assert.ok(!isSuccess(tallyOf([passed, { ...passed, name: passed.file }])));
});
test('a suite is not counted as a test', () => {
  assert.equal(tallyOf([{ ...passed, kind: 'suite' }]).pass, 0);
});
test('a skip is a success unless what it needs is required', () => {
  assert.ok(isSuccess(tallyOf([passed, skippedForS3], ['mosquitto'])));
  assert.ok(!isSuccess(tallyOf([passed, skippedForS3], ['mosquitto', 's3'])));
  const another: TestEvent = { ...passed, skip: 'needs a real S3 server: start one' };
  assert.ok(!isSuccess(tallyOf([passed, another], ['s3'])));
  const unrelated: TestEvent = { ...passed, skip: 'needs Windows: S3 is not the point' };
  assert.ok(isSuccess(tallyOf([passed, unrelated], ['s3'])));
});

test('the closing lines count as node:test does and name what did not run', () => {
  assert.equal(
    describeTally(tallyOf([passed, { ...passed, outcome: 'fail' }, skippedForS3]), 1234.5),
    `did not run:
  a row is a row: needs S3: set VARVE_TEST_S3
# tests 3
# suites 0
# pass 1
# fail 1
# cancelled 0
# skipped 1
# todo 0
# duration_ms 1235
1 passed, 1 failed, 1 skipped
`,
  );
});
