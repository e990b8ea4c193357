import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Failure, isFailure, type FailureCode } from '@varve/common/errors.js';
import type { MemoryStore } from '@varve/common/store/memory-store.js';
import { ask, Faraway, type FarawayOptions } from './faraway.test.fixture.js';
import { QueryFixture } from './query.test.fixture.js';

let fixture: QueryFixture;
let fileKey = '';
let fileBytes = 0;
before(async () => {
  fixture = await QueryFixture.open();
  const { files } = await fixture.put({
    table: 'environment',
    tags: ['device'],
    fields: { f1: 'double', f2: 'double', f3: 'double', f4: 'double', f5: 'double' },
    // A day of 200 devices, one reading every 10 s; nothing of it can be packed.
    files: [
      `SELECT timestamptz '2026-01-01 00:00:00Z' + to_seconds(10 * i) AS time, 'dev-' || (100 + d) AS device,
        ${[1, 2, 3, 4, 5].map((field) => `hash(d * 10000 + i, ${field}) / 1e9 AS f${field}`).join(', ')},
        DATE '2026-01-01' AS day
        FROM range(200) t(d), range(8640) r(i) ORDER BY d, i`,
    ],
    copyOptions: 'FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880',
  });
  await fixture.put({
    table: 'windows',
    tags: ['device', 'part'],
    fields: { x_count: 'long', x_sum: 'double', x_max: 'double', y_max: 'double' },
    aggregate: { everyMs: 60_000 },
    files: [
      `SELECT timestamptz '2026-01-01 00:00:00Z' + to_minutes(i) AS time, 'dev-' || d AS device, 'part-' || p AS part,
        i % 5 AS x_count, (i % 7)::DOUBLE AS x_sum, i::DOUBLE AS x_max, hash(i)::DOUBLE AS y_max, DATE '2026-01-01' AS day
        FROM range(8) t(d), range(2) q(p), range(1440) r(i) ORDER BY d, p, i`,
    ],
    copyOptions: 'FORMAT parquet, ROW_GROUP_SIZE 2048',
  });
  await fixture.startEngine();
  const [file] = files.values();
  fileKey = file?.key ?? '';
  fileBytes = file?.bytes ?? 0;
  assert.ok(fileBytes > 64e6, `${fileBytes}`);
});
after(() => fixture.close());

const anHour = `SELECT time, f3 FROM environment WHERE device = 'dev-177' AND time >= '2026-01-01 10:00' AND time < '2026-01-01 11:00'`;

let count = 0;
async function withFaraway(
  work: (faraway: Faraway) => Promise<void>,
  options: FarawayOptions = {},
  store?: MemoryStore,
): Promise<void> {
  const faraway = await Faraway.open(fixture, { name: `faraway-${count++}`, ...options }, store);
  try {
    await work(faraway);
  } finally {
    await faraway.close();
  }
}

const slicesIn = async ({ cacheFolder }: Faraway) =>
  (await readdir(cacheFolder, { recursive: true })).filter((name) => name.endsWith('.slice'));

test('of a large file a question about one device and hour fetches a small part, once', async () => {
  const expected = await ask(fixture.engine, anHour);
  assert.equal(expected.rows.length, 360);
  await withFaraway(async (faraway) => {
    const plan = await faraway.engine.plan({ sql: anHour });
    const estimate = (await faraway.engine.estimate(plan)) as Record<string, number | string>;
    const { rows, files, bytes } = await ask(faraway.engine, anHour);
    assert.deepEqual(rows, expected.rows);
    const { requests, downloads, bytes: fetched } = await faraway.traffic();
    assert.ok(fetched < fileBytes / 40 && downloads === 0, `${fetched} of ${fileBytes} bytes were fetched`);
    assert.ok(requests <= 3, `${requests} requests`);
    assert.ok(files === 1 && bytes < fetched && bytes > fetched / 4, `${bytes} bytes were read`);
    assert.equal(estimate['lane'], 'quick');
    assert.ok(Number(estimate['bytes']) >= bytes * 0.9 && Number(estimate['store_bytes']) < fetched);
    assert.deepEqual((await ask(faraway.engine, anHour)).rows, expected.rows);
    assert.equal((await faraway.traffic()).requests, requests);
    assert.deepEqual(
      faraway.engine.queries.recent().map(({ lane }) => lane),
      ['quick', 'quick'],
    );
  });
});

test('a question that wants none of the rows of a file fetches its footer alone', async () => {
  await withFaraway(async (faraway) => {
    const { rows, files } = await ask(
      faraway.engine,
      "SELECT count(*)::INT FROM environment WHERE device = 'elsewhere'",
    );
    assert.deepEqual([rows, files, await slicesIn(faraway)], [['0'], 0, []]);
  });
});

test('the whole file is fetched where most of it is wanted, also bit by bit, and used for everything from then on', async () => {
  await withFaraway(async (faraway) => {
    for (let field = 1; field <= 5; field++) {
      const sql = `SELECT count(f${field})::INT FROM environment WHERE time > '2025-12-31'`;
      assert.deepEqual((await ask(faraway.engine, sql)).rows, ['1728000']);
    }
    const { downloads, bytes } = await faraway.traffic();
    assert.ok(downloads === 1 && bytes < 1.6 * fileBytes, `${downloads} downloads, ${bytes} bytes`);
    await ask(faraway.engine, anHour);
    assert.equal((await faraway.traffic()).bytes, bytes);
  });
});

test('a table of aggregates is merged from slices as from whole files', async () => {
  const questions = [
    "SELECT time, x_mean FROM windows WHERE device = 'dev-3' AND time < '2026-01-01 01:00'",
    "SELECT device, max(y_max), sum(x_count) FROM windows WHERE device <> 'dev-4' GROUP BY device",
    "SELECT * FROM windows WHERE device > 'dev-5' AND x_max > 1000",
  ];
  const slices = { fileBytesMin: 1, shareMax: Infinity };
  await withFaraway(
    async (faraway) => {
      for (const sql of questions)
        assert.deepEqual((await ask(faraway.engine, sql)).rows, (await ask(fixture.engine, sql)).rows);
      assert.equal((await slicesIn(faraway)).length, 3);
    },
    { slices },
  );
});

test('a plan names the file, not the slice', async () => {
  await withFaraway(async (faraway) => {
    const plan = await faraway.engine.plan({ sql: `${anHour} AND f3 > 0` });
    const text = JSON.stringify(await faraway.engine.explain(plan, 'analyze', new AbortController().signal));
    assert.ok(!text.includes('.slice') && !text.includes(faraway.cacheFolder), text);
    assert.equal((await slicesIn(faraway)).length, 1);
  });
});

test('a slice or footer that was damaged between two runs is made again', async () => {
  const expected = await ask(fixture.engine, anHour);
  const options = { name: 'damaged' };
  for (const ending of ['.slice', '.footer']) {
    let name = '';
    await withFaraway(async (faraway) => {
      await ask(faraway.engine, anHour);
      await faraway.cache.close();
      const files = await readdir(faraway.cacheFolder, { recursive: true });
      name = join(faraway.cacheFolder, files.find((file) => file.endsWith(ending)) ?? '');
    }, options);
    const bytes = await readFile(name);
    await writeFile(name, bytes.fill(bytes.readUInt8(99) ^ 1, 99, bytes.length >> 1));
    await withFaraway(async (faraway) => {
      assert.deepEqual((await ask(faraway.engine, anHour)).rows, expected.rows);
      assert.ok((await faraway.traffic()).requests > 0);
    }, options);
  }
});

const broken: [name: string, code: FailureCode, fault: (store: MemoryStore) => Promise<void> | void][] = [
  ['vanishes between its footer and the rest', 'object_missing', (store) => store.delete([fileKey])],
  [
    'is shorter than its table says',
    'object_corrupt',
    async (store) => store.put(fileKey, (await store.get(fileKey)).subarray(0, 1e6)),
  ],
  [
    'cannot be reached any more',
    'store_unavailable',
    () => {
      throw new Failure('store_unavailable', 'the store is away');
    },
  ],
];
for (const [name, code, fault] of broken)
  test(`a file that ${name} is named, and read once it is right again`, async () => {
    await withFaraway(async (faraway) => {
      const { store } = faraway;
      const whole = await store.get(fileKey);
      let gets = 0;
      store.faults.before = async (operation) => {
        if (operation === 'get' && ++gets === 3) await fault(store);
      };
      await assert.rejects(ask(faraway.engine, anHour), (error) => isFailure(error, code));
      assert.ok(gets >= 3);
      store.faults.before = undefined;
      await store.put(fileKey, whole);
      assert.equal((await ask(faraway.engine, anHour)).rows.length, 360);
      assert.deepEqual((await slicesIn(faraway)).length, 1);
    });
  });
