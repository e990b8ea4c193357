/**
 * Large objects in S3, with a server on loopback: when they go up in parts, and what bad answers on the way mean. Against
 * a real server `s3-store.test.ts` puts them.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { systemClock, type Clock } from '../clock.js';
import { agentProbeKey } from '../contract/object-keys.js';
import { isFailure } from '../errors.js';
import { startPlantedS3Server, type PlantedAnswer, type PlantedS3Server } from './planted-s3-server.js';
import type { ProbeOptions } from './probe.js';
import { withBodyRanges } from './s3-body.js';
import { planParts } from './s3-multipart.js';
import { S3Store } from './s3-store.js';
import { bytesOf, failsWith, textOf } from './store-asserts.js';

Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'planted-key', AWS_SECRET_ACCESS_KEY: 'planted-secret' });

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;

describe('planParts', () => {
  // Bytes, the least bytes of a part: how many parts, bytes of the first, bytes of the last.
  const cases: [number, number, [number, number, number]][] = [
    [0, 8 * MiB, [1, 0, 0]],
    [1, 8 * MiB, [1, 1, 1]],
    [8 * MiB, 8 * MiB, [1, 8 * MiB, 8 * MiB]],
    [8 * MiB + 1, 8 * MiB, [2, 8 * MiB, 1]],
    [64 * MiB + 1, 8 * MiB, [9, 8 * MiB, 1]],
    [6 * MiB, 5 * MiB, [2, 5 * MiB, MiB]],
    [80_000 * MiB, 8 * MiB, [10_000, 8 * MiB, 8 * MiB]],
    [80_000 * MiB + 1, 8 * MiB, [10_000, 8 * MiB + 1, 8 * MiB + 1 - 9_999]],
    [625 * GiB, 8 * MiB, [10_000, 64 * MiB, 64 * MiB]],
  ];
  for (const [bytes, partBytesMin, [count, first, last]] of cases)
    it(`${bytes} bytes in parts of ${partBytesMin} or more: ${count}, of ${first}, the last of ${last}`, () => {
      const sizes = planParts(bytes, partBytesMin).map(({ start, end }) => end - start);
      assert.deepEqual([sizes.length, sizes[0], sizes.at(-1)], [count, first, last]);
    });

  it('parts follow each other without a gap, to the end', () => {
    const ends = [...planParts(1_000, 64)].reduce((position, { start, end }) => {
      assert.equal(start, position);
      return end;
    }, 0);
    assert.equal(ends, 1_000);
  });

  it('more than 10,000 parts of 64 MiB are too many', () => {
    assert.throws(
      () => planParts(625 * GiB + 1, 8 * MiB),
      (error) => isFailure(error, 'body_too_large'),
    );
  });
});

describe('S3Store, large objects', () => {
  const large = bytesOf('0123456789abcdefghijklmnopqrstuvwxyz');
  const otherLarge = bytesOf('a different content of the same kind');
  const partCount = 8;
  const proof: ProbeOptions = {
    access: 'put-only',
    probeKey: (uuid) => agentProbeKey('press-hall-3', uuid),
  };
  /** Pauses between attempts take no time. */
  const impatientClock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => systemClock.sleep(ms > 10_000 ? ms : 0, signal),
  };
  let directory: string;
  let server: PlantedS3Server;
  let store: S3Store;

  const openStore = (withProof?: ProbeOptions) =>
    S3Store.open(
      { url: 's3://bucket/lake', endpoint: server.endpoint, pathStyle: true },
      {
        ...(withProof && { proof: withProof }),
        ...{ clock: impatientClock, oneRequestBytesMax: 10, partBytesMin: 5 },
      },
    );
  const plant = (...answers: PlantedAnswer[]) => server.answers.push(...answers);
  /** The names of the requests about one key since the last call, parts without their numbers. */
  const requestsFor = (key: string) =>
    server.requests
      .splice(0)
      .filter((request) => request.endsWith(` /bucket/lake/${key}`))
      .map((request) => request.split(' ')[0] ?? '');
  const inParts = ['begin', ...Array.from({ length: partCount }, () => 'part'), 'complete'];
  const contentOf = (key: string) => textOf(server.objects.get(`/bucket/lake/${key}`) ?? new Uint8Array());
  /** Makes the store show that conditions hold in parts, or that they do not. */
  const show = async () => {
    await store.putIfAbsent('first', large);
    server.requests.length = 0;
  };

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'varve-s3-'));
  });
  after(() => rm(directory, { recursive: true }));
  beforeEach(async () => {
    server = await startPlantedS3Server();
    store = openStore(proof);
  });
  afterEach(() => {
    store.close();
    server.close();
  });

  it('put sends what is above the threshold in parts, from memory and from a file', async () => {
    const path = join(directory, 'large');
    await writeFile(path, large);
    for (const body of [large, { path }]) {
      await store.put('key', body);
      assert.deepEqual(requestsFor('key'), inParts);
      assert.equal(contentOf('key'), textOf(large));
    }
    await store.put('key', large.subarray(0, 10));
    assert.deepEqual(requestsFor('key'), ['PUT']);
  });

  it('a part that is refused ends the upload, which is aborted', async () => {
    plant('sound', 'sound', { status: 403, code: 'AccessDenied' });
    await failsWith('store_denied', store.put('key', new Uint8Array(500)));
    const requests = requestsFor('key');
    assert.equal(requests.at(-1), 'abort');
    assert.ok(requests.length < 50, `after the failure no part is begun of 100: ${requests.length} requests`);
    assert.equal(server.uploads.unfinishedCount, 0);
    assert.equal(server.objects.size, 0);
  });

  it('a part whose answer is lost is sent again', async () => {
    plant('sound', 'answer lost', { status: 503, code: 'SlowDown' });
    await store.put('key', large);
    assert.equal(requestsFor('key').length, inParts.length + 2);
    assert.equal(contentOf('key'), textOf(large));
  });

  it('a file that becomes shorter on the way is not read to a shorter end', async () => {
    const path = join(directory, 'shrinking');
    await writeFile(path, large);
    await withBodyRanges({ path }, async (read) => {
      assert.equal(textOf(await read({ start: 5, end: 12 })), '56789ab');
      await truncate(path, 12);
      await failsWith('store_unavailable', read({ start: 10, end: 15 }));
    });
  });

  for (const step of ['beginning', 'a part', 'completing'] as const)
    it(`a portal that answers 200 to ${step} has stored nothing`, async () => {
      const soundCount = { beginning: 0, 'a part': 1, completing: 1 + partCount }[step];
      plant(...sounds(soundCount), { text: '<html><p>Welcome to Grand Hotel</p></html>' });
      await failsWith('store_unavailable', store.put('key', large));
    });

  it('an upload is completed once: without an answer it is left alone, and the next call learns that it landed', async () => {
    await show();
    plant(...sounds(1 + partCount), 'answer lost');
    await failsWith('store_unavailable', store.putIfAbsent('key', large));
    assert.deepEqual(requestsFor('key'), inParts);
    assert.equal(await store.putIfAbsent('key', otherLarge), 'exists');
    assert.equal(contentOf('key'), textOf(large));
  });

  for (const planted of [{ status: 500 }, { status: 503, code: 'SlowDown' }, 'reset'] as const)
    it(`completing that meets ${JSON.stringify(planted)} may still happen: it is neither repeated nor aborted`, async () => {
      plant(...sounds(1 + partCount), planted);
      await failsWith('store_unavailable', store.put('key', large));
      assert.deepEqual(requestsFor('key'), inParts);
      assert.equal(server.uploads.unfinishedCount, 1);
    });

  it('an upload that is gone when it is completed is store_unavailable', async () => {
    plant(...sounds(1 + partCount), { status: 404, code: 'NoSuchUpload' });
    await failsWith('store_unavailable', store.put('key', large));
  });

  it('putIfAbsent in parts creates once, and aborts the upload that came second', async () => {
    assert.equal(await store.putIfAbsent('key', large), 'created');
    assert.deepEqual(requestsFor('key'), inParts);
    assert.equal(await store.putIfAbsent('key', otherLarge), 'exists');
    assert.deepEqual(requestsFor('key'), [...inParts, 'abort']);
    assert.equal(contentOf('key'), textOf(large));
    assert.equal(server.uploads.unfinishedCount, 0);
  });

  for (const step of ['beginning', 'a part'] as const)
    it(`412 to ${step}, which has no condition, does not mean that the object exists`, async () => {
      await show();
      plant(...sounds(step === 'beginning' ? 0 : 1), { status: 412, code: 'PreconditionFailed' });
      await failsWith('store_unavailable', store.putIfAbsent('key', large));
      assert.equal(server.uploads.unfinishedCount, 0);
    });

  it('412 in a body behind status 200 is exists, too', async () => {
    await show();
    plant(...sounds(1 + partCount), { text: '<Error><Code>PreconditionFailed</Code></Error>' });
    assert.equal(await store.putIfAbsent('key', large), 'exists');
    assert.equal(requestsFor('key').at(-1), 'abort');
  });

  it('409 at completing is tried again, with a new upload', async () => {
    await show();
    plant(...sounds(1 + partCount), { status: 409, code: 'ConditionalRequestConflict' });
    assert.equal(await store.putIfAbsent('key', large), 'created');
    assert.deepEqual(requestsFor('key'), [...inParts, 'abort', ...inParts]);
    assert.equal(server.uploads.unfinishedCount, 0);
  });

  it('of 4 concurrent putIfAbsent in parts one creates, and the store shows once that it can', async () => {
    const keys = ['key', 'key', 'key', 'key'];
    const outcomes = await Promise.all(keys.map((key) => store.putIfAbsent(key, large)));
    assert.deepEqual(outcomes.toSorted(), ['created', 'exists', 'exists', 'exists']);
    const probes = server.requests.filter((request) => request.startsWith('begin ') && isProbe(request));
    // Two in sequence, eight at once.
    assert.equal(probes.length, 10);
    assert.equal(server.uploads.unfinishedCount, 0);
  });

  it('the showing stays where an agent may put, and needs nothing else', async () => {
    await store.putIfAbsent('key', large);
    const others = server.requests.filter((request) => !request.endsWith('/bucket/lake/key'));
    const [deletion, ...puts] = others.toReversed();
    assert.match(deletion ?? '', /^POST \/bucket\/?$/);
    assert.ok(puts.length > 0 && puts.every(isProbe), puts.join('\n'));
  });

  it('small objects need no showing', async () => {
    await store.putIfAbsent('key', bytesOf('small'));
    assert.deepEqual(server.requests, ['PUT /bucket/lake/key']);
  });

  it('where completing ignores the condition, putIfAbsent is one request, and the store is not asked again', async () => {
    server.uploads.ignoresConditions = true;
    assert.equal(await store.putIfAbsent('key', large), 'created');
    assert.deepEqual(requestsFor('key'), ['PUT']);
    assert.equal(await store.putIfAbsent('key', otherLarge), 'exists');
    assert.deepEqual(server.requests, ['PUT /bucket/lake/key']);
    assert.equal(contentOf('key'), textOf(large));
    assert.equal(server.objects.size, 1);
  });

  it('where completing answers 412 and overwrites, reading back tells', async () => {
    store.close();
    store = openStore({ ...proof, access: 'full' });
    // Begin, part, complete; begin, part: then "412" comes for an upload that took effect.
    server.uploads.ignoresConditions = true;
    plant(...sounds(5), 'refused in word only');
    assert.equal(await store.putIfAbsent('key', large), 'created');
    assert.deepEqual(requestsFor('key'), ['PUT']);
  });

  it('where the showing is denied, putIfAbsent is one request', async () => {
    plant({ status: 403, code: 'AccessDenied' });
    assert.equal(await store.putIfAbsent('key', large), 'created');
    assert.deepEqual(requestsFor('key'), ['PUT']);
  });

  it('where the showing fails for the moment, putIfAbsent is one request, and the next asks again', async () => {
    plant({ status: 503 }, { status: 503 }, { status: 503 });
    assert.equal(await store.putIfAbsent('key', large), 'created');
    assert.deepEqual(requestsFor('key'), ['PUT']);
    assert.equal(await store.putIfAbsent('other', large), 'created');
    assert.deepEqual(requestsFor('other'), inParts);
  });

  it('a store that may not show anything puts one request, and says what is too large for it', async () => {
    store.close();
    store = openStore();
    assert.equal(await store.putIfAbsent('key', large), 'created');
    assert.deepEqual(server.requests, ['PUT /bucket/lake/key']);
    const path = join(directory, 'sparse');
    await writeFile(path, '');
    await truncate(path, 5 * GiB + 1);
    await assert.rejects(
      store.putIfAbsent('other', { path }),
      (error) => isFailure(error, 'body_too_large') && /CompleteMultipartUpload/.test(error.hint ?? ''),
    );
  });
});

function sounds(count: number): PlantedAnswer[] {
  return Array.from({ length: count }, () => 'sound');
}

function isProbe(request: string): boolean {
  return request.includes(' /bucket/lake/agents/press-hall-3/probe/');
}
