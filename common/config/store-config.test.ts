import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { storeSchema } from './store-config.js';

describe('store', () => {
  const bucket = 's3://my-bucket/plant';
  const endpoint = 'http://127.0.0.1:7480';
  const region = 'eu-central-1';
  const cases: [unknown, object][] = [
    ['./lake', { url: './lake', pathStyle: false }],
    [bucket, { url: bucket, pathStyle: false }],
    [
      { url: bucket, region },
      { url: bucket, region, pathStyle: false },
    ],
    [
      { url: bucket, endpoint },
      { url: bucket, endpoint, pathStyle: true },
    ],
    [
      { url: bucket, endpoint, path_style: false },
      { url: bucket, endpoint, pathStyle: false },
    ],
    [
      { url: bucket, endpoint, path_style: true },
      { url: bucket, endpoint, pathStyle: true },
    ],
    [
      { url: bucket, path_style: true },
      { url: bucket, pathStyle: true },
    ],
  ];
  for (const [written, expected] of cases)
    it(`${JSON.stringify(written)} is ${JSON.stringify(expected)}`, () => {
      const config = storeSchema.parse(written);
      assert.deepEqual({ ...config }, { endpoint: undefined, region: undefined, ...expected });
    });

  for (const written of [
    '',
    'http://my-bucket',
    's3://My_Bucket',
    { url: bucket, endpoint: '127.0.0.1:7480' },
  ])
    it(`${JSON.stringify(written)} is refused`, () => {
      assert.equal(storeSchema.safeParse(written).success, false);
    });
});
