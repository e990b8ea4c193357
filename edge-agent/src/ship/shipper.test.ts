/**
 * What becomes of shipments when the store, or the way to it, fails: an outcome for each fault, and afterwards everything
 * is there, in order, once.
 */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Failure } from '@varve/common/errors.js';
import type { PlantedAnswer } from '@varve/common/store/planted-s3-server.js';
import { outboxEntry, Shipping } from './shipping.test.fixture.js';
import { planRetryMs } from './shipper.js';

Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'planted-key', AWS_SECRET_ACCESS_KEY: 'planted-secret' });

const entries = [
  ...[outboxEntry(1, 'environment', 1), outboxEntry(2, 'environment', 2), outboxEntry(3, 'vibration', 1)],
  ...[outboxEntry(4, 'environment', 3), outboxEntry(5, 'vibration', 2)],
];

interface Outcome {
  readonly planted: readonly PlantedAnswer[];
  readonly message: RegExp;
  readonly hint: RegExp;
  readonly healsItself: boolean;
  readonly bytes?: number;
}

const outcomes: Readonly<Record<string, Outcome>> = {
  SlowDown: {
    planted: [{ status: 503, code: 'SlowDown' }],
    ...{ message: /SlowDown/, hint: /is the store up/, healsItself: true },
  },
  'an internal error': {
    planted: [{ status: 500, code: 'InternalError' }],
    ...{ message: /InternalError.*HTTP 500/, hint: /is the store up/, healsItself: true },
  },
  'a store that says nothing': {
    planted: ['silence', 'silence'],
    ...{ message: /no answer within/, hint: /can this machine reach/, healsItself: true },
  },
  'a reset': {
    planted: ['reset'],
    ...{ message: /ECONNRESET|socket hang up/, hint: /can this machine reach/, healsItself: true },
  },
  'a reset in the middle of an upload': {
    ...{ planted: ['cut'], bytes: 3_000_000 },
    ...{ message: /ECONNRESET|EPIPE|socket hang up/, hint: /can this machine reach/, healsItself: true },
  },
  'a reset in the middle of a streamed upload': {
    ...{ planted: ['cut'], bytes: 9_000_000 },
    ...{ message: /ECONNRESET|EPIPE|socket hang up/, hint: /can this machine reach/, healsItself: true },
  },
  'an answer that is lost, then 412': {
    planted: ['answer lost', 'answer lost'],
    ...{ message: /ECONNRESET|socket hang up/, hint: /can this machine reach/, healsItself: true },
  },
  'a captive portal': {
    planted: [{ text: '<html>Welcome to Grand Hotel</html>' }],
    ...{ message: /not from an S3 server/, hint: /^$/, healsItself: true },
  },
  'a clock that is wrong': {
    planted: [{ status: 403, code: 'RequestTimeTooSkewed' }],
    ...{ message: /RequestTimeTooSkewed/, hint: /set this machine's clock/, healsItself: true },
  },
  'credentials that have expired': {
    planted: [{ status: 400, code: 'ExpiredToken' }],
    ...{ message: /ExpiredToken/, hint: /get new temporary credentials/, healsItself: false },
  },
  'credentials that are wrong': {
    planted: [{ status: 403, code: 'InvalidAccessKeyId' }],
    ...{ message: /InvalidAccessKeyId/, hint: /check AWS_ACCESS_KEY_ID/, healsItself: false },
  },
  'permissions that are missing': {
    planted: [{ status: 403, code: 'AccessDenied' }],
    ...{ message: /AccessDenied/, hint: /needs s3:PutObject/, healsItself: false },
  },
  'a bucket that is not there': {
    planted: [{ status: 404, code: 'NoSuchBucket' }],
    ...{ message: /NoSuchBucket/, hint: /create the bucket, or mend its name/, healsItself: false },
  },
  'a bucket in another region': {
    planted: [{ status: 301, code: 'PermanentRedirect' }],
    ...{ message: /PermanentRedirect/, hint: /set the store's region/, healsItself: false },
  },
  'a quota that is reached': {
    planted: [{ status: 403, code: 'QuotaExceeded' }],
    ...{ message: /QuotaExceeded/, hint: /free space in the store/, healsItself: false },
  },
};

for (const [what, { planted, bytes, ...expected }] of Object.entries(outcomes))
  test(`${what}: said with what to do, and then everything arrives in order, once`, async (context) => {
    const shipping = await Shipping.start(context, { entries, bytes: bytes ?? 100 });
    shipping.server.answers.push(...planted);
    await shipping.shipAll();
    shipping.requireAllInOrder();
    const problem = shipping.pauses[0]?.problem;
    assert(problem, 'the problem was seen');
    assert.match(problem.message, expected.message);
    assert.match(problem.hint ?? '', expected.hint);
    assert.equal(problem.healsItself, expected.healsItself);
    assert.doesNotMatch(JSON.stringify(problem), /planted-(key|secret)/);
  });

test('412 on the first put is a shipment that an earlier life put: confirmed, and the next one goes', async (context) => {
  const shipping = await Shipping.start(context, { entries });
  const [first] = shipping.entries;
  assert(first);
  shipping.server.objects.set(shipping.pathOf(first), Buffer.alloc(first.bytes, first.id));
  await shipping.shipAll();
  shipping.requireAllInOrder();
  assert.equal(shipping.pauses.length, 0);
});

test('a long outage: the pauses grow, and the problem stays on show', async (context) => {
  const shipping = await Shipping.start(context, { entries });
  shipping.server.answers.push(...Array.from({ length: 20 }, () => ({ status: 503, code: 'SlowDown' })));
  await shipping.shipAll();
  shipping.requireAllInOrder();
  const lengths = shipping.pauses.map(({ ms }) => ms);
  assert.equal(lengths[0], 550);
  assert.equal(Math.max(...lengths), 33_000);
  assert(shipping.pauses.every(({ problem }) => problem?.healsItself));
});

test('a store that asks to be left alone for a while is', async (context) => {
  const shipping = await Shipping.start(context, { entries });
  shipping.server.answers.push({ status: 503, code: 'SlowDown', headers: { 'retry-after': '7' } });
  await shipping.shipAll();
  shipping.requireAllInOrder();
  assert.equal(shipping.pauses[0]?.ms, 7_550);
});

test('the pause after a failure', () => {
  const failure = (retryAfterMs?: number) => new Failure('store_unavailable', 'planted', { retryAfterMs });
  assert.equal(planRetryMs(failure(), 1, 0.5), 550);
  assert.equal(planRetryMs(failure(), 100, 0.5), 33_000);
  const cause = Object.assign(new Error('planted'), { code: 'ENETUNREACH' });
  assert.equal(planRetryMs(new Failure('store_unavailable', 'no line', { cause }), 100, 1), 3_000);
  assert.equal(planRetryMs(failure(30_000), 1, 0.5), 30_550);
  assert.equal(planRetryMs(failure(1e9), 1, 0.5), 900_550);
});

test('with a clock that is wrong the next request has the time of the store', async (context) => {
  const shipping = await Shipping.start(context, { entries: entries.slice(0, 1) });
  const date = 'Fri, 01 Jan 2100 00:00:30 GMT';
  shipping.server.answers.push({ status: 403, code: 'RequestTimeTooSkewed', headers: { date } });
  await shipping.shipAll();
  assert.match(String(shipping.server.headers.at(-1)?.['x-amz-date']), /^21000101T00/);
});

test('credentials that are renewed while the agent runs are taken up', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'varve-credentials-'));
  const path = join(directory, 'credentials');
  const before = { ...process.env };
  context.after(() => {
    process.env = before;
    rmSync(directory, { recursive: true });
  });
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
  Object.assign(process.env, { AWS_SHARED_CREDENTIALS_FILE: path, AWS_CONFIG_FILE: '/dev/null' });
  const writeKey = (key: string) =>
    writeFileSync(path, `[default]\naws_access_key_id = ${key}\naws_secret_access_key = planted-secret\n`);

  writeKey('old-key');
  const shipping = await Shipping.start(context, { entries });
  shipping.server.answers.push({ status: 403, code: 'ExpiredToken' }, { status: 403, code: 'ExpiredToken' });
  shipping.onPause = () => writeKey('new-key');
  await shipping.shipAll();
  shipping.requireAllInOrder();
  assert.match(String(shipping.server.headers[0]?.authorization), /old-key/);
  assert.match(String(shipping.server.headers.at(-1)?.authorization), /new-key/);
});

test('within a bandwidth uploads go one by one, with pauses in between', async (context) => {
  const shipper = { bytesPerSecondMax: 1e6 };
  const shipping = await Shipping.start(context, { entries, bytes: 20_000, shipper });
  await shipping.shipAll();
  shipping.requireAllInOrder();
  assert.deepEqual(shipping.confirmed, [1, 2, 3, 4, 5]);
  assert.deepEqual(
    shipping.pauses.map(({ ms }) => Math.round(ms)),
    [20, 20, 20, 20],
  );
});
