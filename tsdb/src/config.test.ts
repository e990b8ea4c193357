import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { dataFileFolders, readTsdbConfig, retentionOf, type TsdbConfig } from './config.js';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tsdb-config-'));
});
after(() => rm(folder, { recursive: true }));

async function read(text: string, ...assignments: string[]): Promise<TsdbConfig> {
  const path = join(folder, 'tsdb.yaml');
  await writeFile(path, text);
  return readTsdbConfig({ path, assignments, env: {} });
}

const designExample = `
store: ./lake
data_dir: ./tsdb-data                  # cache and state; may be deleted at any time, it is rebuilt
listen: 127.0.0.1:8181
ingest: { every: 2s }
cache: { disk: 20GB, memory: 4GB }
tables:
  "*": { retain: forever }
  environment: { retain: 2y }
`;

test('the example of the design works as it stands', async () => {
  assert.deepEqual(await read(designExample), {
    store: { url: join(folder, 'lake'), endpoint: undefined, region: undefined, pathStyle: false },
    dataDir: join(folder, 'tsdb-data'),
    listen: { host: '127.0.0.1', port: 8181 },
    insecure: false,
    ingest: { everyMs: 2_000 },
    compact: { everyMs: 10_000 },
    lease: true,
    cache: { diskBytes: 20e9, memoryBytes: 4e9 },
    tables: new Map([
      ['*', { retainMs: undefined }],
      ['environment', { retainMs: 2 * 365 * 86_400_000 }],
    ]),
  });
});

test('a store alone is enough, and the rest is as in the example', async () => {
  const { tables, ...rest } = await read('store: ./lake');
  const example = await read(designExample);
  assert.deepEqual({ ...rest, tables: example.tables }, example);
  assert.equal(tables.size, 0);
});

test('an S3 address is left as it is', async () => {
  assert.equal((await read('store: s3://bucket/prefix')).store.url, 's3://bucket/prefix');
});

test('--set goes over the file', async () => {
  assert.equal((await read(designExample, 'ingest.every=500ms')).ingest.everyMs, 500);
});

test('data files lie in the cache, and in the store where that is a folder', async () => {
  const cache = join(folder, 'tsdb-data', 'cache');
  assert.deepEqual(dataFileFolders(await read('store: ./lake')), [cache, join(folder, 'lake', 'tables/')]);
  assert.deepEqual(dataFileFolders(await read('store: s3://bucket/prefix')), [cache]);
});

test('how long rows are kept is said for a table, or for all others', async () => {
  const retainMsOf = retentionOf(await read(designExample));
  assert.equal(retainMsOf({ table: 'environment' }), 2 * 365 * 86_400_000);
  assert.equal(retainMsOf({ table: 'other' }), undefined);
});

const problems: [text: string, message: RegExp][] = [
  ['data_dir: x', /store: write a folder such as/],
  ['store: http://x', /:1: store: is not understood: write a folder/],
  ['store: ./lake\nlistn: x', /:2: listn: is not an option here/],
  ['store: ./lake\nlisten: here', /:2: listen: "here" is not understood: write an address/],
  ['store: ./lake\ndata_dir: 5', /:2: data_dir: write a folder/],
  ['store: ./lake\ningest: { every: 2 }', /:2: ingest.every: write a duration/],
  ['store: ./lake\ningest: { every: 1ms }', /:2: ingest.every: is out of range/],
  ['store: ./lake\ncache: { disk: lots }', /:2: cache.disk: "lots" is not understood: write a size/],
  ['store: ./lake\ncache: { memory: 1MB }', /:2: cache.memory: is too small/],
  ['store: ./lake\ncache: { ssd: 1GB }', /:2: cache.ssd: is not an option here/],
  ['store: ./lake\ntables: { Environment: { retain: 2y } }', /:2: tables.Environment: .*table name/],
  [
    'store: ./lake\ntables: { a: { retain: soon } }',
    /:2: tables.a.retain: "soon" is not understood: write forever/,
  ],
  ['store: ./lake\ntables: { a: { retain: 1s } }', /:2: tables.a.retain: is too short: .*1h/],
  ['store: ./lake\ntables: [a]', /:2: tables: write tables/],
  ['store: ./lake\ntables: { a: { keep: 2y } }', /:2: tables.a.keep: is not an option here/],
];
for (const [text, message] of problems)
  test(`says what is wrong with ${JSON.stringify(text)}`, async () => {
    await assert.rejects(read(text), (error) => {
      assert.ok(isFailure(error, 'config_invalid'));
      assert.match(error.message, message);
      return true;
    });
  });
