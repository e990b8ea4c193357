/**
 * The S3 store against a real server, for instance the one that `test/s3/radosgw.sh` starts. `VARVE_TEST_S3` holds JSON
 * with `endpoint` and `bucket`; credentials come from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. The bucket is
 * created if need be, and everything that the tests put into it is deleted.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { probeKey } from '../contract/object-keys.js';
import type { StoreConfig } from '../config/store-config.js';
import { openStore } from './open-store.js';
import { S3Store } from './s3-store.js';
import { bytesOf, failsWith, keysOf } from './store-asserts.js';
import { testStore, type OpenedStore } from './store-conformance.js';

const settingText = process.env.VARVE_TEST_S3;

if (settingText === undefined) test('S3Store', { skip: 'needs a real S3 server: set VARVE_TEST_S3' });
else testS3(JSON.parse(settingText) as Setting);

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

  async function makeStore(): Promise<OpenedStore> {
    await createBucket(client, bucket);
    const store = S3Store.open(configOf(`/test-${randomUUID()}/lake`));
    return { store, close: () => emptyAndClose(store) };
  }

  testStore('S3Store', makeStore);

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

async function emptyAndClose(store: S3Store): Promise<void> {
  await store.delete(await keysOf(store, ''));
  store.close();
}
