import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TableColumns } from '@varve/common/contract/columns.js';
import { isFailure } from '@varve/common/errors.js';
import { writeDataFile } from './data-file-writer.js';
import { DuckDb, type Session } from './duckdb.js';
import { quotePath, utcDate } from './sql-text.js';
import { formatStatistics } from './statistics.js';

let dir: string;
let duckDb: DuckDb;

before(async () => {
  // A path that DuckDB would take for a pattern.
  dir = await mkdtemp(join(tmpdir(), "varve-[a]*'-"));
  duckDb = new DuckDb({ tempDir: dir, memoryBytesMax: 256 * 2 ** 20, tempBytesMax: 2 ** 30, threads: 2 });
});

after(async () => {
  await duckDb.close();
  await rm(dir, { recursive: true });
});

const columns: TableColumns = {
  tags: [{ name: 'device' }],
  fields: [
    { name: 'count', type: 'long' },
    { name: 'label', type: 'string' },
    { name: 'ok', type: 'boolean' },
    { name: 'v', type: 'double' },
  ],
};

const rows = (device: string, count: string, label: string, ok: string, v: string) =>
  `(SELECT make_timestamptz(1700000000000000::BIGINT + i * 1500) AS "time", ${device} AS device,
      ${count} AS "count", ${label} AS label, ${ok} AS ok, ${v} AS v FROM range(1000) AS r(i))`;

const usual = rows("'d' || i % 7", 'i', "'on'", 'i % 2 = 0', 'i / 4');

async function write(session: Session, relation: string, file: string) {
  return await writeDataFile(session, relation, columns, join(dir, file));
}

test('a file is sorted, has day last, and times are never in a dictionary', async () => {
  await duckDb.withSession(async (session) => {
    const { localPath, bytes } = await write(session, usual, 'sorted.parquet');
    assert.ok(bytes > 0);
    const path = quotePath(localPath);
    const described = await session.rows(`DESCRIBE SELECT * FROM read_parquet(${path})`);
    assert.deepEqual(
      described.map((row) => `${String(row['column_name'])} ${String(row['column_type'])}`),
      [
        'time TIMESTAMP WITH TIME ZONE',
        'device VARCHAR',
        'count BIGINT',
        'label VARCHAR',
        'ok BOOLEAN',
        'v DOUBLE',
        'day DATE',
      ],
    );
    const [order] = await session.rows(`
      SELECT bool_and(previous IS NULL OR previous < this) AS sorted FROM (
        SELECT (device, time) AS this, lag((device, time)) OVER (ORDER BY file_row_number) AS previous
        FROM read_parquet(${path}, file_row_number = true))`);
    assert.equal(order?.['sorted'], true);
  });
});

/** The encodings of `time`, for files with one, few, and many distinct times. */
for (const distinctTimes of [1, 2, 10, 1_000, 30_000])
  test(`time has no dictionary in a file of ${distinctTimes} distinct times`, async () => {
    await duckDb.withSession(async (session) => {
      const relation = `(SELECT make_timestamptz(1700000000000000::BIGINT + i % ${distinctTimes}) AS "time",
        'd' || (i // ${distinctTimes}) AS device, 1 AS "count", 'x' AS label, true AS ok, 1.0 AS v
        FROM range(30000) AS r(i))`;
      const { localPath } = await write(session, relation, `times-${distinctTimes}.parquet`);
      const [chunk] = await session.rows(
        `SELECT encodings, compression FROM parquet_metadata(${quotePath(localPath)}) WHERE path_in_schema = 'time'`,
      );
      // One or two times are too few for any dictionary, so that the double needs version 1 of the format.
      const expected = distinctTimes > 2 ? 'DELTA_BINARY_PACKED' : 'PLAIN';
      assert.deepEqual(chunk, { encodings: expected, compression: 'ZSTD' });
    });
  });

async function encodingsOf(fields: TableColumns['fields'], values: string): Promise<string> {
  return await duckDb.withSession(async (session) => {
    const relation = `(SELECT make_timestamptz(1700000000000000::BIGINT + i * 1000000) AS "time", 'd' AS device, ${values}
      FROM range(30000) AS r(i))`;
    const path = join(dir, `${Math.random()}.parquet`);
    await writeDataFile(session, relation, { tags: [{ name: 'device' }], fields }, path);
    const rows = await session.rows(
      `SELECT path_in_schema AS name, encodings FROM parquet_metadata(${quotePath(path)}) ORDER BY column_id`,
    );
    return rows.map(({ name, encodings }) => `${String(name)}:${String(encodings)}`).join(' ');
  });
}

const exact = { name: 'a', type: 'double', decimals: 2 } as const;
const plain = { name: 'b', type: 'double' } as const;

test('decimals are delta-coded, tags beside them keep their dictionary', async () => {
  assert.equal(
    await encodingsOf([exact], '(i % 5000) / 100 AS a'),
    'time:DELTA_BINARY_PACKED device:RLE_DICTIONARY a:DELTA_BINARY_PACKED day:RLE_DICTIONARY',
  );
});

test('a few values that do not fit, beside the decimals, have a dictionary', async () => {
  assert.match(
    await encodingsOf([exact, plain], '(i % 5000) / 100 AS a, CASE WHEN i % 100 = 0 THEN i / 7 END AS b'),
    / a:DELTA_BINARY_PACKED b:RLE_DICTIONARY /,
  );
});

/** 12 series of 8,192 and a few rows, with null tags, and texts whose order in UTF-16 differs from that in UTF-8. */
const longSeries = `(SELECT make_timestamptz(1700000000000000::BIGINT + i * 1000000) AS "time",
  CASE d % 4 WHEN 0 THEN NULL WHEN 1 THEN chr(65535 - 100) WHEN 2 THEN chr(128512) ELSE 'd' END AS device,
  CASE d // 4 WHEN 0 THEN 'x' WHEN 1 THEN NULL ELSE 'a' END AS site,
  CASE WHEN i % 3 > 0 THEN ((hash(i) % 1000)::INTEGER + d * 100000) / 100 END AS a, i % 2 = 0 AS ok
  FROM range(12) AS s(d), range(8192 + 10) AS r(i) WHERE i < 8192 + d % 10)`;
const longColumns: TableColumns = {
  tags: [{ name: 'device' }, { name: 'site' }],
  fields: [exact, { name: 'ok', type: 'boolean' }],
};

test('row groups of a lasting file of long series end with series', async () => {
  await duckDb.withSession(async (session) => {
    const path = join(dir, 'series.parquet');
    const { statistics } = await writeDataFile(session, longSeries, longColumns, path, { isLasting: true });
    const file = `read_parquet(${quotePath(path)}, file_row_number = true)`;
    const groups = await session.rows(
      `SELECT DISTINCT row_group_id AS id, row_group_num_rows::INT AS n FROM parquet_metadata(${quotePath(path)}) ORDER BY id`,
    );
    const series = await session.rows(
      `SELECT count(*)::INT AS n FROM ${file} GROUP BY device, site ORDER BY min(file_row_number)`,
    );
    const sizes = series.map(({ n }) => Number(n));
    const sumOf = (from: number) => sizes.slice(from, from + 3).reduce((sum, n) => sum + n, 0);
    assert.deepEqual(
      groups.map(({ n }) => n),
      [0, 3, 6, 9].map(sumOf),
    );
    assert.equal(statistics.rowCount, sumOf(0) + sumOf(3) + sumOf(6) + sumOf(9));
    const encodings = await session.rows(
      `SELECT DISTINCT path_in_schema AS name, encodings FROM parquet_metadata(${quotePath(path)}) WHERE stats_null_count < num_values ORDER BY 1`,
    );
    assert.deepEqual(
      encodings
        .map(({ name, encodings: of }) => `${String(name)}:${String(of)}`)
        .filter((text) => /^(?:a|time|device):/.test(text)),
      ['a:DELTA_BINARY_PACKED', 'device:RLE_DICTIONARY', 'time:DELTA_BINARY_PACKED'],
    );
  });
});

for (const isLasting of [true, false])
  test(`rows are those given, in the order of tags and time${isLasting ? ', in a lasting file too' : ''}`, async () => {
    await duckDb.withSession(async (session) => {
      const path = join(dir, `order-${isLasting}.parquet`);
      await writeDataFile(session, longSeries, longColumns, path, { isLasting });
      const [row] = await session.rows(`
        WITH expected AS (
          SELECT "time", device, site, CAST(a AS DECIMAL(18, 2)) AS a, ok, row_number() OVER (ORDER BY device, site, "time") - 1 AS place
          FROM ${longSeries}
        ), written AS (
          SELECT "time", device, site, a, ok, file_row_number AS place, day FROM read_parquet(${quotePath(path)}, file_row_number = true)
        )
        SELECT (SELECT count(*) FROM (SELECT * EXCLUDE (day) FROM written EXCEPT SELECT * FROM expected))::INT AS other,
          (SELECT count(*) FROM written)::INT AS n, (SELECT count(*) FROM expected)::INT AS expected,
          (SELECT bool_and(day = CAST("time" AS DATE)) FROM written) AS days`);
      assert.deepEqual(row, { other: 0, n: row?.['expected'], expected: row?.['n'], days: true });
    });
  });

test('the day is that of UTC, to the microsecond, before 1970 too', async () => {
  await duckDb.withSession(async (session) => {
    await session.run("SET TimeZone = 'Pacific/Auckland'");
    const texts = [
      '1969-12-31T00:00:00Z',
      '1969-12-31T23:59:59.999999Z',
      '1970-01-01T00:00:00Z',
      '2026-11-20T23:59:59.999999Z',
    ];
    const rows = texts.map((text) => `('${text}'::TIMESTAMPTZ)`).join(', ');
    const found = await session.rows(
      `SELECT CAST(${utcDate('t')} AS VARCHAR) AS day FROM (VALUES ${rows}) AS v(t)`,
    );
    assert.deepEqual(
      found.map(({ day }) => day),
      texts.map((text) => text.slice(0, 10)),
    );
  });
});

test('doubles are never split into streams of bytes, which other engines may not read', async () => {
  assert.match(await encodingsOf([plain], 'i / 7 AS b'), / b:PLAIN /);
  assert.match(
    await encodingsOf([plain], '(i % 9000) / 7 AS b'),
    /^time:DELTA_BINARY_PACKED .* b:RLE_DICTIONARY /,
  );
});

async function statisticsOf(relation: string): Promise<string> {
  return await duckDb.withSession(async (session) => {
    const file = `${Math.random()}.parquet`;
    return formatStatistics((await write(session, relation, file)).statistics);
  });
}

test('statistics are exact', async () => {
  assert.equal(
    await statisticsOf(usual),
    '{"numRecords":1000,' +
      '"minValues":{"time":"2023-11-14T22:13:20.000Z","device":"d0","count":0,"label":"on","v":-0.0},' +
      '"maxValues":{"time":"2023-11-14T22:13:21.499Z","device":"d6","count":999,"label":"on","v":249.75},' +
      '"nullCount":{"time":0,"device":0,"count":0,"label":0,"ok":0,"v":0}}',
  );
});

test('NaN, nulls, large longs and long texts get the bounds that hold', async () => {
  const label = "CASE WHEN i % 2 = 0 THEN repeat('ü', 40) END";
  const text = await statisticsOf(
    rows('NULL', '9007199254740993 + i', label, 'NULL', "CASE i WHEN 5 THEN 'nan'::DOUBLE ELSE i END"),
  );
  assert.match(
    text,
    new RegExp(`"minValues":{"time":"[^"]*","count":9007199254740993,"label":"${'ü'.repeat(32)}"}`),
  );
  assert.match(text, /"maxValues":{"time":"[^"]*","count":9007199254741992}/);
  assert.match(text, /"nullCount":{"time":0,"device":1000,"count":0,"label":500,"ok":1000,"v":0}/);
});

test('a field with decimals is a decimal in the file, with its digits in the statistics', async () => {
  const level: TableColumns = { tags: [], fields: [{ name: 'level', type: 'double', decimals: 2 }] };
  const path = join(dir, 'decimals.parquet');
  const relation =
    '(SELECT make_timestamptz(i * 1000) AS "time", i / 8 - 1 AS level FROM range(100) AS r(i))';
  await duckDb.withSession(async (session) => {
    const { statistics } = await writeDataFile(session, relation, level, path);
    assert.match(formatStatistics(statistics), /"level":-1.00}.*"level":11.38}/);
    const [row] = await session.rows(`SELECT typeof(level) AS type FROM read_parquet(${quotePath(path)})`);
    assert.equal(row?.['type'], 'DECIMAL(18,2)');
  });
});

test('text is ordered by its bytes in UTF-8, not by UTF-16 units', async () => {
  const text = await statisticsOf(
    rows("'d'", 'i', "CASE WHEN i % 2 = 0 THEN '～' ELSE '🌡' END", 'true', 'i'),
  );
  assert.match(text, /"minValues":{[^}]*"label":"～"/);
  assert.match(text, /"maxValues":{[^}]*"label":"🌡"/);
});

test('a file that is gone is the fault of the machine, and may come back', async () => {
  await duckDb.withSession(async (session) => {
    await assert.rejects(
      session.rows(`SELECT * FROM read_parquet(${quotePath(join(dir, 'gone.parquet'))})`),
      (error) => isFailure(error, 'data_dir_unusable'),
    );
  });
});

test('too little memory is a failure that passes', async () => {
  const small = new DuckDb({ tempDir: dir, memoryBytesMax: 16 * 2 ** 20, tempBytesMax: 1, threads: 1 });
  await small.withSession(async (session) => {
    await assert.rejects(
      session.rows('SELECT count(*) FROM (SELECT i, hash(i) FROM range(20000000) AS r(i) ORDER BY 2)'),
      (error) => isFailure(error) && error.kind === 'transient',
    );
  });
  await small.close();
});
