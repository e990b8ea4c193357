import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DuckDBInstance, type DuckDBConnection, type DuckDBVector } from '@duckdb/node-api';
import { tableFromIPC, type Table } from 'apache-arrow';
import type { AnswerColumn, RowBatch } from './query-answer.js';
import { renderArrow } from './render-arrow.js';
import { defaultStyle } from './value-style.js';

const rowsMax = 10_000;
const columns = [
  'CASE WHEN i % 3 = 0 THEN NULL ELSE i / 7 END',
  `[1e300, 'nan'::DOUBLE, 'inf'::DOUBLE, -0.0, 1e-7, 0.1, NULL][i % 7 + 1]`,
  '(i / 8)::FLOAT',
  'CASE WHEN i > 4_000 THEN i - 1000 END',
  '(i * 7_000_000_000_000) - 9_100_000_000_000_000',
  '(i % 128)::TINYINT',
  '(-i)::SMALLINT',
  '(i % 256)::UTINYINT',
  'i::USMALLINT',
  '(i - 5_000)::INTEGER',
  '(4_294_967_295 - i)::UINTEGER',
  '(18_446_744_073_709_551_615 - i)::UBIGINT',
  '(i - 5)::HUGEINT * 1_000_000_000_000_000_000_000',
  '(i / 4)::DECIMAL(9, 2)',
  'CASE WHEN i % 5 > 0 THEN i % 2 = 0 END',
  `CASE WHEN i % 7 <> 0 THEN 'device-' || (i // 100) END`,
  `TIMESTAMPTZ '2026-01-01' + to_milliseconds(i * 1_234)`,
  `CASE WHEN i % 2_049 <> 0 THEN TIMESTAMP '1969-12-31 23:59' + to_milliseconds(i * 1_234) END`,
  'make_timestamp_ns(i * 999_999_999)',
  `(TIMESTAMP '2026-01-01' + to_seconds(i))::TIMESTAMP_S`,
  `(TIMESTAMP '2026-01-01' + to_milliseconds(i))::TIMESTAMP_MS`,
  `CASE WHEN i % 11 > 0 THEN DATE '1960-01-01' + i::INT * 3 END`,
  '[i, NULL]',
];

async function withRows(
  sql: string,
  use: (columns: AnswerColumn[], batches: RowBatch[]) => Promise<void>,
): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection: DuckDBConnection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  const result = await connection.stream(sql);
  const chunks = await result.fetchAllChunks();
  await use(
    result.columnNames().map((name, index) => ({ name, type: result.columnType(index) })),
    chunks.map((chunk) => ({
      rowCount: chunk.rowCount,
      vectorAt: (column) => chunk.getColumnVector(column),
    })),
  );
  connection.closeSync();
  instance.closeSync();
}

async function render(
  shown: AnswerColumn[],
  batches: readonly RowBatch[],
  bytesMax = Number.POSITIVE_INFINITY,
): Promise<{ table: Table; pieces: number; isCut: boolean }> {
  const pieces: Uint8Array[] = [];
  let isCut = false;
  const answer = {
    ...{ queryId: 'q', columns: shown, rowCount: 0, isTruncated: false },
    stats: { elapsedMs: 0, files: [], bytes: 0, tables: [] },
    cutOff: () => (isCut = true),
    close: () => Promise.resolve(),
    async *batches() {
      yield* await Promise.resolve(batches);
    },
  };
  for await (const piece of renderArrow(answer, { style: defaultStyle, bytesMax, header: true }))
    pieces.push(piece);
  return { table: tableFromIPC(Buffer.concat(pieces)), pieces: pieces.length, isCut };
}

const list = columns.map((sql, index) => `${sql} AS c${index}`).join(', ');

test('columns copied from memory are those made value by value', () =>
  withRows(`SELECT ${list} FROM range(${rowsMax}) r(i)`, async (shown, batches) => {
    assert.ok(batches.length > 1);
    for (const [index, sql] of columns.entries()) {
      // One column at a time: several batches of rows come together.
      const seen = batches.map(({ rowCount, vectorAt }) => ({ rowCount, vectorAt: () => vectorAt(index) }));
      const unseen = seen.map(({ rowCount, vectorAt }) => ({
        rowCount,
        vectorAt: () => ({ getItem: (row: number) => vectorAt().getItem(row) }),
      }));
      const { table: fast } = await render(shown.slice(index, index + 1), seen);
      const { table: slow } = await render(shown.slice(index, index + 1), unseen);
      assert.equal(fast.numRows, rowsMax);
      // Lists count for more than they are.
      assert.equal(fast.batches.length < batches.length, !sql.startsWith('[i'), sql);
      const [left, right] = [fast.getChildAt(0), slow.getChildAt(0)];
      assert.equal(String(left?.type), String(right?.type));
      assert.equal(left?.nullCount, right?.nullCount, sql);
      for (let row = 0; row < rowsMax; row++)
        assert.deepEqual(left?.get(row), right?.get(row), `${sql}, row ${row}`);
    }
  }));

test('numbers and times are copied from memory', () =>
  withRows(
    "SELECT 0.5::DOUBLE, TIMESTAMPTZ '2026-01-01', 7::BIGINT, DATE '2026-01-02'",
    async (shown, batches) => {
      const [batch] = batches;
      const vectors = shown.map((_, column) => batch?.vectorAt(column) as DuckDBVector);
      for (const vector of vectors) vector.getItem = () => assert.fail('value by value');
      const { table } = await render(shown, [
        { rowCount: 1, vectorAt: (column) => vectors[column] as DuckDBVector },
      ]);
      assert.deepEqual(
        shown.map((_, column): unknown => table.getChildAt(column)?.get(0)),
        [0.5, Date.parse('2026-01-01'), 7n, Date.parse('2026-01-02')],
      );
    },
  ));

test('is cut off behind the batch that is too much, and whole all the same', () =>
  withRows('SELECT i FROM range(100_000) r(i)', async (shown, batches) => {
    const { table, isCut } = await render(shown, batches, 100_000);
    assert.ok(isCut);
    assert.ok(table.numRows >= 12_288 && table.numRows < 16_384, String(table.numRows));
    const all = await render(shown, batches);
    assert.deepEqual([all.isCut, all.table.numRows, all.table.batches.length], [false, 100_000, 4]);
    assert.equal(all.table.getChildAt(0)?.get(99_999), 99_999n);
  }));
