/**
 * Apart from the other tests because it empties this process's environment of credentials.
 */
import { it } from 'node:test';
import { S3Store } from './s3-store.js';
import { bytesOf, failsWith } from './store-asserts.js';

it('no credentials anywhere are store_denied', async () => {
  delete process.env.AWS_ACCESS_KEY_ID;
  delete process.env.AWS_SECRET_ACCESS_KEY;
  Object.assign(process.env, {
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  });
  const store = S3Store.open({ url: 's3://bucket', endpoint: 'http://127.0.0.1:1', pathStyle: true });
  await failsWith('store_denied', store.putIfAbsent('key', bytesOf('x')));
  store.close();
});
