import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import fc from 'fast-check';
import { boundsOf } from '../../delta/file-bounds.js';
import { chooseParts, planSlice } from './plan-slice.js';
import { chunksOf } from './parquet-footer.js';
import { assertSlicesHold, footerOf } from './slices.test.fixture.js';

let folder = '';
let instance: DuckDBInstance;
let connection: DuckDBConnection;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slices-'));
  instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
});
after(async () => {
  connection.closeSync();
  instance.closeSync();
  await rm(folder, { recursive: true });
});

/** Three devices, 4,000 seconds each. */
const rows = `SELECT timestamptz '2026-01-01 00:00:00Z' + to_seconds(i) AS time, 'dev-' || d AS device,
  CASE WHEN i % 7 = 0 THEN NULL ELSE round(sin(i) * 100, 2) END AS temp, (i * d)::DECIMAL(18,2) AS level,
  i::BIGINT * 1000003 AS counter, i % 2 = 0 AS ok, CASE WHEN i % 3 = 0 THEN 'note ' || i END AS note,
  NULL::DOUBLE AS nothing, DATE '2026-01-01' AS day
  FROM range(1, 4) t(d), range(4000) r(i) ORDER BY d, i`;

const write = async (name: string, options: string, sql = rows) => {
  const path = join(folder, `${name}.parquet`);
  await connection.run(`COPY (${sql}) TO '${path}' (FORMAT parquet, ${options})`);
  return path;
};

const writers: Readonly<Record<string, string>> = {
  'of version 1, zstd': 'PARQUET_VERSION v1, COMPRESSION zstd, ROW_GROUP_SIZE 2048',
  'of version 2, zstd': 'PARQUET_VERSION v2, COMPRESSION zstd, ROW_GROUP_SIZE 2048',
  'snappy, of one row group': 'COMPRESSION snappy',
  'without compression': 'COMPRESSION uncompressed, ROW_GROUP_SIZE 4096',
  'without dictionaries': 'DICTIONARY_SIZE_LIMIT 1, ROW_GROUP_SIZE 2048',
};
for (const [name, options] of Object.entries(writers))
  test(`row groups and columns of a file ${name} are what they were`, async () => {
    await assertSlicesHold(connection, await write(name, options));
  });

test('a slice of a file without rows has its columns', async () => {
  await assertSlicesHold(connection, await write('empty', 'COMPRESSION zstd', `${rows} LIMIT 0`));
});

test('what is known of a row group is what is in it', async () => {
  const path = await write('bounds', 'ROW_GROUP_SIZE 2048');
  const footer = footerOf(await readFile(path));
  assert.ok(footer && footer.rowGroups.length > 3);
  let first = 0;
  for (const group of footer.rowGroups) {
    const reader = await connection.runAndReadAll(
      `SELECT epoch_us(min(time))::DOUBLE, epoch_us(max(time))::DOUBLE, min(device), max(device)
        FROM read_parquet('${path}', file_row_number = true)
        WHERE file_row_number BETWEEN ${first} AND ${first + group.rowCount - 1}`,
    );
    const { min, max } = boundsOf(group, 'device') ?? {};
    assert.deepEqual([group.minTimeUs, group.maxTimeUs, min, max], reader.getRows()[0]);
    assert.deepEqual(boundsOf(group, 'temp'), undefined);
    first += group.rowCount;
  }
});

test('chooses the row groups that may hold a row, and the columns that are named', async () => {
  const footer = footerOf(await readFile(await write('choice', 'ROW_GROUP_SIZE 2048')));
  assert.ok(footer);
  const mayHold = (extent: { bounds?: Parameters<typeof boundsOf>[0]['bounds'] }) =>
    String(boundsOf(extent, 'device')?.max) >= 'dev-3';
  const choice = chooseParts(footer, { columns: new Set(['temp', 'nobody']), mayHold }, '2026-01-01');
  assert.deepEqual(choice?.columns, [0, 2]);
  assert.ok(choice.rowGroups.length >= 2 && choice.rowGroups.length <= 3);
  assert.equal(choice.rowGroups.at(-1), footer.rowGroups.length - 1);
  const all = chooseParts(footer, { columns: undefined, mayHold: () => true }, '2026-01-01');
  assert.deepEqual([all?.columns.length, all?.rowGroups.length], [9, footer.rowGroups.length]);
});

test('fetches what has little between it as one range, the more of it the more ranges there are', async () => {
  const footer = footerOf(await readFile(await write('ranges', 'ROW_GROUP_SIZE 2048')));
  assert.ok(footer);
  const rowGroups = [...footer.rowGroups.keys()];
  const choice = { rowGroups, columns: [0, 4] };
  const near = planSlice(footer, choice, { gapBytesMin: 1e6 });
  const far = planSlice(footer, choice, { gapBytesMin: 0 });
  assert.equal(near.ranges.length, 1);
  assert.equal(far.ranges.length, 2 * rowGroups.length);
  assert.ok(near.bytesFetched > far.bytesFetched);
  const many = `SELECT make_timestamptz(i) AS time, i::DOUBLE AS x, i % 7 AS y FROM range(300000) r(i)`;
  const long = footerOf(await readFile(await write('many', 'ROW_GROUP_SIZE 2048', many)));
  assert.ok(long && long.rowGroups.length > 100);
  const wide = { rowGroups: [...long.rowGroups.keys()], columns: [0, 2] };
  assert.ok(planSlice(long, wide, { gapBytesMin: 0, pieceBytesMax: 1e9 }).ranges.length <= 64);
  assert.ok(planSlice(long, wide, { gapBytesMin: 0, pieceBytesMax: 1_000 }).ranges.length > 64);
});

const nested: Readonly<Record<string, string>> = {
  'a list': 'SELECT [1, 2] AS x, 1 AS y',
  'a struct': "SELECT {'a': 1} AS x, 1 AS y",
};
for (const [name, sql] of Object.entries(nested))
  test(`a file with ${name} is not cut`, async () => {
    assert.equal(footerOf(await readFile(await write(name, 'COMPRESSION zstd', sql))), undefined);
  });

test('a footer with any bytes changed is none, or one whose pages lie within the file', async () => {
  const file = await readFile(await write('damaged', 'ROW_GROUP_SIZE 2048'));
  const footer = footerOf(file);
  assert.ok(footer);
  const damage = fc.array(fc.tuple(fc.nat(footer.bytes.length - 1), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(damage, (changes) => {
      const spoiled = Buffer.from(file);
      for (const [at, byte] of changes) spoiled[file.length - 8 - footer.bytes.length + at] = byte;
      const found = footerOf(spoiled);
      for (const group of found?.rowGroups ?? [])
        for (const { pages } of found ? chunksOf(found, group) : [])
          assert.ok(pages.start >= 4 && pages.end <= file.length - 8);
    }),
    { numRuns: 2_000 },
  );
  for (const length of [0, 7, 8, 100]) assert.equal(footerOf(file.subarray(0, length)), undefined);
});
