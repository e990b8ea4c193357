import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DuckDBInstance, type DuckDBVector } from '@duckdb/node-api';
import { CellWriter } from './cell-writers.js';
import { jsonEncoder } from './json-values.js';
import { TextPage } from './text-page.js';
import { defaultStyle, type ValueStyle } from './value-style.js';

const columns = [
  `CASE WHEN i % 3 = 0 THEN NULL ELSE i / 7 END`,
  `[1e300, 'nan'::DOUBLE, 'inf'::DOUBLE, -0.0, 1e-7, 0.1, NULL][i % 7 + 1]`,
  `i - 1000`,
  `CASE WHEN i % 65 <> 0 THEN i END`,
  `(i * 7_000_000_000_000) - 9_100_000_000_000_000`,
  `[9007199254740991, 9007199254740992, -9007199254740991, -9007199254740992, NULL, 4294967296, -1][i % 7 + 1]`,
  `(i % 128)::TINYINT`,
  `(-i)::SMALLINT`,
  `(i % 256)::UTINYINT`,
  `i::USMALLINT`,
  `(4_294_967_295 - i)::UINTEGER`,
  `i::UBIGINT`,
  `i::HUGEINT`,
  `(i / 8)::FLOAT`,
  `(i / 4)::DECIMAL(9, 2)`,
  `i % 2 = 0`,
  `'row ' || i`,
  `CASE WHEN i % 7 <> 0 THEN 'device-' || (i // 100) END`,
  `CASE WHEN i % 700 > 350 THEN 'a long name of a device, so that it does not fit, ' || (i // 50) END`,
  `['', 'é', NULL, 'é', 'é', 'x"'][i % 6 + 1]`,
  `TIMESTAMPTZ '2026-01-01' + to_milliseconds(i * 1_234)`,
  `TIMESTAMP '1969-12-31 23:59' + to_milliseconds(i * 1_234)`,
  `CASE WHEN i % 2 = 0 THEN TIMESTAMPTZ 'infinity' WHEN i % 3 = 0 THEN TIMESTAMPTZ '-infinity' END`,
  `TIMESTAMP '290000-01-01'`,
  `make_timestamp_ns(i * 999_999_999)`,
  `(TIMESTAMP '2026-01-01' + to_seconds(i))::TIMESTAMP_S`,
  `(TIMESTAMP '2026-01-01' + to_milliseconds(i))::TIMESTAMP_MS`,
  `DATE '1960-01-01' + i::INT * 13`,
  `CASE WHEN i % 2 = 0 THEN DATE 'infinity' ELSE DATE '20000-01-01' END`,
  `[i, NULL]`,
  `NULL`,
];

const styles: ValueStyle[] = [
  defaultStyle,
  { ...defaultStyle, int64: 'string' },
  { ...defaultStyle, int64: 'number' },
  { ...defaultStyle, timeFormat: 'ms' },
  { ...defaultStyle, timeZone: 'Europe/Berlin' },
];

test('cells read from memory are those read value by value', async () => {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  const list = columns.map((sql, index) => `${sql} AS c${index}`).join(', ');
  const result = await connection.stream(`SELECT ${list} FROM range(3000) r(i)`);
  const chunks = await result.fetchAllChunks();
  assert.ok(chunks.length > 1);
  const page = new TextPage();
  for (const style of styles)
    for (const chunk of chunks)
      for (const [column, sql] of columns.entries()) {
        const [vector, type] = [chunk.getColumnVector(column), result.columnType(column)];
        const [cells, encode] = [new CellWriter(type, style), jsonEncoder(type, style)];
        cells.open(vector, chunk.rowCount);
        for (let row = 0; row < chunk.rowCount; row++) {
          cells.put(row, page);
          assert.equal(
            page.takeText(),
            encode(vector.getItem(row)),
            `${sql}, row ${row}, ${JSON.stringify(style)}`,
          );
        }
      }
  connection.closeSync();
  instance.closeSync();
});

test('doubles and times are read from memory', async () => {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const result = await connection.stream("SELECT 0.5::DOUBLE, TIMESTAMPTZ '2026-01-01 00:00:00Z', 7::BIGINT");
  const chunk = await result.fetchChunk();
  const expected = ['0.5', '"2026-01-01T00:00:00Z"', '7'];
  for (const [column, text] of expected.entries()) {
    const vector = chunk?.getColumnVector(column) as DuckDBVector;
    vector.getItem = () => assert.fail('value by value');
    const page = new TextPage();
    const cells = new CellWriter(result.columnType(column), defaultStyle);
    cells.open(vector, 1);
    cells.put(0, page);
    assert.equal(page.takeText(), text);
  }
  connection.closeSync();
  instance.closeSync();
});
