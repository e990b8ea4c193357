/**
 * The S3 store against a real server, for instance the one that `test/s3/radosgw.sh` starts. `VARVE_TEST_S3` holds JSON
 * with `endpoint` and `bucket`; credentials come from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. The bucket is
 * created if need be, and everything that the tests put into it is deleted.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { probeKey } from '../contract/object-keys.js';
import type { StoreConfig } from '../config/store-config.js';
import { openStore } from './open-store.js';
import { S3Store, type S3StoreOptions } from './s3-store.js';
import { bytesOf, failsWith, keysOf } from './store-asserts.js';
import { testStore, type OpenedStore } from './store-conformance.js';

const settingText = process.env.VARVE_TEST_S3;

if (settingText === undefined) test('S3Store', { skip: 'needs a real S3 server: set VARVE_TEST_S3' });
else testS3(JSON.parse(settingText) as Setting);

const MiB = 1024 ** 2;
/** The smallest parts that S3 takes. */
const inParts: S3StoreOptions = {
  oneRequestBytesMax: 6 * MiB,
  partBytesMin: 5 * MiB,
  proof: { access: 'full', probeKey },
};

interface Setting {
  readonly endpoint: string;
  readonly bucket: string;
}

function testS3({ endpoint, bucket }: Setting): void {
  const configOf = (prefix: string): StoreConfig => ({
    url: `s3://${bucket}${prefix}`,
    endpoint,
    pathStyle: true,
  });
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });

  async function makeStore(options?: S3StoreOptions): Promise<OpenedStore & { store: S3Store }> {
    await createBucket(client, bucket);
    const store = S3Store.open(configOf(`/test-${randomUUID()}/lake`), options);
    return { store, close: () => emptyAndClose(store) };
  }

  testStore('S3Store', makeStore);
  testStore('S3Store that puts in parts', () => makeStore(inParts));

  test('large objects are put in parts, if absent where the server honours the condition there', async (context) => {
    const { store, close } = await makeStore(inParts);
    const keyOf = (key: string) => `${store.url.slice(`s3://${bucket}/`.length)}/${key}`;
    await store.put('small', bytesOf('small'));
    const isHonoured = await refusesToComplete(client, bucket, keyOf('small'));
    context.diagnostic(`CompleteMultipartUpload ${isHonoured ? 'honours' : 'ignores'} If-None-Match: *`);
    await store.put('put', new Uint8Array(7 * MiB));
    assert.equal(await store.putIfAbsent('created', new Uint8Array(7 * MiB)), 'created');
    assert.equal(await store.putIfAbsent('created', new Uint8Array(8 * MiB)), 'exists');
    assert.equal((await store.head('created'))?.bytes, 7 * MiB);
    assert.equal(await countParts(client, bucket, keyOf('put')), 2);
    assert.equal(await countParts(client, bucket, keyOf('created')), isHonoured ? 2 : 1);
    assert.deepEqual(await keysOf(store, ''), ['created', 'put', 'small']);
    assert.deepEqual(await unfinishedUploads(client, bucket, keyOf('')), []);
    await close();
  });

  test('openStore proves a real S3 server and leaves nothing in it', async () => {
    const config = configOf(`/test-${randomUUID()}`);
    const store = await openStore(config, { access: 'full', probeKey });
    assert.equal(store.url, config.url);
    assert.deepEqual(await keysOf(store, ''), []);
    store.close();
  });

  test('what lies outside the prefix is neither listed nor read', async () => {
    const { store, close } = await makeStore();
    const neighbour = S3Store.open({ ...configOf(''), url: `${store.url}-2` });
    await store.put('key', bytesOf('inside'));
    await neighbour.put('key-2', bytesOf('outside'));
    assert.deepEqual(await keysOf(store, ''), ['key']);
    await failsWith('object_missing', store.get('key-2'));
    await emptyAndClose(neighbour);
    await close();
  });

  test("a console's folder markers are not listed", async () => {
    const { store, close } = await makeStore();
    const prefix = store.url.slice(`s3://${bucket}/`.length);
    const marker = `${prefix}/folder/`;
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: marker, Body: new Uint8Array() }));
    await store.put('folder/key', bytesOf('x'));
    assert.deepEqual(await keysOf(store, ''), ['folder/key']);
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: marker }));
    await close();
  });

  test('a bucket that does not exist is store_not_found', async () => {
    const store = S3Store.open({ url: 's3://varve-no-such-bucket', endpoint, pathStyle: true });
    await failsWith('store_not_found', store.put('key', bytesOf('x')));
    await failsWith('store_not_found', store.putIfAbsent('key', bytesOf('x')));
    await failsWith('store_not_found', keysOf(store, ''));
    store.close();
  });
}

async function createBucket(client: S3Client, bucket: string): Promise<void> {
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
  } catch (error) {
    if (!(error instanceof Error && error.name.startsWith('BucketAlready'))) throw error;
  }
}

/** Whether completing an upload with `If-None-Match: *` onto an object is refused. Without our own code, as a reference. */
async function refusesToComplete(client: S3Client, bucket: string, key: string): Promise<boolean> {
  const target = { Bucket: bucket, Key: key };
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(target));
  const upload = { ...target, UploadId };
  const Body = bytesOf('overwritten');
  const { ETag } = await client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body }));
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
  try {
    await client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload, IfNoneMatch: '*' }));
    return false;
  } catch (error) {
    assert.equal(error instanceof Error && error.name, 'PreconditionFailed');
    await client.send(new AbortMultipartUploadCommand(upload));
    return true;
  }
}

/** As the ETag tells: S3's says "-2" at the end of what came in two parts. */
async function countParts(client: S3Client, bucket: string, key: string): Promise<number> {
  const { ETag } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
  return Number(/-(\d+)"?$/.exec(ETag ?? '')?.[1] ?? 1);
}

async function unfinishedUploads(client: S3Client, bucket: string, prefix: string): Promise<unknown[]> {
  const { Uploads = [] } = await client.send(
    new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }),
  );
  return Uploads;
}

async function emptyAndClose(store: S3Store): Promise<void> {
  await store.delete(await keysOf(store, ''));
  store.close();
}
