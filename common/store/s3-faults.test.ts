/**
 * What the S3 store makes of bad answers and lost connections, with a server on loopback that gives them on demand.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { systemClock, type Clock } from '../clock.js';
import { isFailure, type FailureCode } from '../errors.js';
import { startPlantedS3Server, type PlantedAnswer, type PlantedS3Server } from './planted-s3-server.js';
import { S3Store } from './s3-store.js';
import { bytesOf, failsWith, textOf } from './store-asserts.js';

const secret = 'planted-secret';
Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'planted-key', AWS_SECRET_ACCESS_KEY: secret });

/** Pauses between attempts take no time, deadlines take theirs. */
const impatientClock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms > 10_000 ? ms : 0, signal),
};
/** Deadlines pass at once. */
const hastyClock: Clock = { ...systemClock, sleep: (_, signal) => systemClock.sleep(200, signal) };

describe('S3Store, when things go wrong', () => {
  const body = bytesOf('content');
  let directory: string;
  let server: PlantedS3Server;
  let store: S3Store;

  const openStore = (clock: Clock, endpoint = server.endpoint) =>
    S3Store.open({ url: 's3://bucket/lake', endpoint, pathStyle: true }, { clock });
  const plant = (...answers: PlantedAnswer[]) => server.answers.push(...answers);

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'varve-s3-'));
  });
  after(() => rm(directory, { recursive: true }));
  beforeEach(async () => {
    server = await startPlantedS3Server();
    store = openStore(impatientClock);
  });
  afterEach(() => {
    store.close();
    server.close();
  });

  it('a conditional put whose answer is lost is not repeated, and the next call learns that it landed', async () => {
    plant('answer lost');
    await failsWith('store_unavailable', store.putIfAbsent('key', body));
    assert.deepEqual(server.requests, ['PUT /bucket/lake/key']);
    assert.equal(await store.putIfAbsent('key', body), 'exists');
  });

  it('a portal that answers 200 to everything has stored nothing', async () => {
    plant({ text: '<html>Welcome to Grand Hotel</html>' });
    await failsWith('store_unavailable', store.putIfAbsent('key', body));
  });

  for (const planted of ['reset', { status: 503, code: 'SlowDown' }, { status: 500 }] as const)
    it(`a conditional put that meets ${JSON.stringify(planted)} is tried once`, async () => {
      plant(planted);
      await failsWith('store_unavailable', store.putIfAbsent('key', body));
      assert.equal(server.requests.length, 1);
      assert.equal(await store.putIfAbsent('key', body), 'created');
    });

  it('412 is exists', async () => {
    plant({ status: 412, code: 'PreconditionFailed' });
    assert.equal(await store.putIfAbsent('key', body), 'exists');
  });

  it('409 is tried again, a few times', async () => {
    plant(...conflicts(2));
    assert.equal(await store.putIfAbsent('key', body), 'created');
    assert.equal(server.requests.length, 3);
    plant(...conflicts(8));
    await failsWith('store_unavailable', store.putIfAbsent('other', body));
    assert.equal(server.requests.length, 3 + 8);
  });

  it('what may be repeated is: puts, reads, deletions', async () => {
    plant({ status: 503, code: 'SlowDown' }, 'sound', 'reset', 'sound', { status: 500 });
    await store.put('key', body);
    assert.equal(textOf(await store.get('key')), 'content');
    await store.delete(['key']);
    assert.equal(server.requests.length, 6);
  });

  it('a streamed put is not repeated by itself, and can be by the caller', async () => {
    const path = join(directory, 'large');
    await writeFile(path, Buffer.alloc(9 * 1024 ** 2, 'x'));
    plant({ status: 503, code: 'SlowDown' });
    await failsWith('store_unavailable', store.put('key', { path }));
    assert.equal(server.requests.length, 1);
    await store.put('key', { path });
    assert.equal(server.objects.get('/bucket/lake/key')?.length, 9 * 1024 ** 2);
  });

  it('a file that cannot be read is not the end of the process', async () => {
    await failsWith('store_unavailable', store.putIfAbsent('key', { path: join(directory, 'nowhere') }));
    const path = join(directory, 'sparse');
    await writeFile(path, '');
    await truncate(path, 6 * 1024 ** 3);
    await failsWith('body_too_large', store.putIfAbsent('key', { path }));
    assert.equal(server.requests.length, 0);
  });

  it('half an object is none: not to get, not to download', async () => {
    await store.put('key', bytesOf('x'.repeat(100_000)));
    plant('half');
    await failsWith('store_unavailable', store.get('key'));
    plant('half');
    await failsWith('store_unavailable', store.download('key', join(directory, 'half')));
    assert.ok(!(await readdir(directory)).some((name) => name.startsWith('half')));
  });

  it('a download that cannot be written is a failure of the disk, not of the store', async () => {
    await store.put('key', body);
    await store.put('directory', body);
    await writeFile(join(directory, 'file'), 'x');
    await failsWith('key_invalid', store.download('key', join(directory, 'file', 'below')));
  });

  it('a server that says nothing is given up', async () => {
    const hastyStore = openStore(hastyClock);
    plant('silence', 'silence');
    await assert.rejects(
      hastyStore.putIfAbsent('key', body),
      (error) => isFailure(error, 'store_unavailable') && /no answer within 60.* seconds/.test(error.message),
    );
    await failsWith('store_unavailable', hastyStore.get('key'));
    hastyStore.close();
  });

  it('a server that is not there is store_unavailable', async () => {
    // Not the port of a server that was closed: the system may give that to the next one, of another test.
    const lonelyStore = openStore(impatientClock, 'http://127.0.0.1:1');
    await failsWith('store_unavailable', lonelyStore.putIfAbsent('key', body));
    await failsWith('store_unavailable', lonelyStore.head('key'));
    lonelyStore.close();
  });

  it('where DeleteObjects is refused, keys are deleted one by one from then on', async () => {
    for (const key of ['a', 'b', 'c', 'd']) await store.put(key, body);
    server.requests.length = 0;
    plant({ status: 400, code: 'InvalidRequest' });
    await store.delete(['a', 'b']);
    await store.delete(['c', 'd']);
    assert.equal(server.objects.size, 0);
    const methods = server.requests.map((request) => request.split(' ')[0]);
    assert.deepEqual(methods, ['POST', 'DELETE', 'DELETE', 'DELETE', 'DELETE']);
  });

  it('a key that DeleteObjects could not delete is a failure', async () => {
    const refused = '<Error><Key>lake/a</Key><Code>AccessDenied</Code><Message>planted</Message></Error>';
    plant({ text: `<DeleteResult>${refused}</DeleteResult>` });
    await failsWith('store_denied', store.delete(['a', 'b']));
  });

  const meanings: [number, string | undefined, FailureCode][] = [
    [400, 'AuthorizationHeaderMalformed', 'store_not_found'],
    [400, 'ExpiredToken', 'store_denied'],
    [400, 'InvalidRequest', 'store_unavailable'],
    [400, 'KeyTooLongError', 'key_invalid'],
    [403, 'AccessDenied', 'store_denied'],
    [403, 'InvalidAccessKeyId', 'store_denied'],
    [403, 'SignatureDoesNotMatch', 'store_denied'],
    [403, 'QuotaExceeded', 'disk_full'],
    [403, 'RequestTimeTooSkewed', 'store_unavailable'],
    [403, undefined, 'store_denied'],
    [404, 'NoSuchBucket', 'store_not_found'],
    [404, 'NoSuchKey', 'object_missing'],
    [404, undefined, 'store_not_found'],
    [501, 'NotImplemented', 'store_without_put_if_absent'],
    [503, 'SlowDown', 'store_unavailable'],
    [504, undefined, 'store_unavailable'],
  ];
  for (const [status, code, expected] of meanings)
    it(`${status} ${code ?? 'without a code'} is ${expected}, with a hint and without secrets`, async () => {
      plant({ status, code });
      await assert.rejects(store.putIfAbsent('key', body), (error) => {
        assert.ok(isFailure(error, expected), String(error));
        assert.ok(error.hint);
        assert.doesNotMatch(error.message, /Unknown/);
        assert.doesNotMatch(JSON.stringify([error, error.message, error.cause]), /planted-(key|secret)/);
        return true;
      });
    });
});

function conflicts(count: number): PlantedAnswer[] {
  return Array.from({ length: count }, () => ({ status: 409, code: 'ConditionalRequestConflict' }));
}
