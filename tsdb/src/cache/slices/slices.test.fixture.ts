/**
 * For tests: slices of a Parquet file, and what DuckDB reads of them.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import fc from 'fast-check';
import type { RowsExtent } from '../../delta/snapshot.js';
import { footerLength, parseFooter, tailBytes, type ParquetFooter } from './parquet-footer.js';
import { cutPages, planSlice, type SliceChoice, type SliceLimits } from './plan-slice.js';
import { sliceFooter } from './slice-footer.js';

export const anyRows: RowsExtent = { day: '2026-01-01', minTimeUs: -Infinity, maxTimeUs: Infinity };

export function footerOf(file: Uint8Array, within = anyRows): ParquetFooter | undefined {
  const length = footerLength(file) ?? 0;
  const end = file.length - tailBytes;
  return parseFooter(file.subarray(end - length, end), file.length, within);
}

/** As `FileSlices` does it, in memory. */
export function sliceOf(
  file: Uint8Array,
  footer: ParquetFooter,
  choice: SliceChoice,
  limits?: SliceLimits,
): Uint8Array {
  const plan = planSlice(footer, choice, limits);
  const end = sliceFooter(footer, plan);
  const slice = Buffer.alloc(plan.pagesEnd + end.length);
  slice.write('PAR1');
  for (const range of plan.ranges)
    for (const { at, bytes } of cutPages(range, file.subarray(range.start, range.end), plan.pages))
      slice.set(bytes, at);
  slice.set(end, plan.pagesEnd);
  return slice;
}

/** Random row groups and columns have the same rows in a slice as in the file; also the statistics that DuckDB shows. */
export async function assertSlicesHold(
  connection: DuckDBConnection,
  path: string,
  { runs = 30 } = {},
): Promise<void> {
  const file = await readFile(path);
  const footer = footerOf(file);
  assert.ok(footer, `a footer is found in ${path}`);
  let count = 0;
  const choices = fc.record({
    rowGroups: fc.subarray([...footer.rowGroups.keys()]),
    columns: fc.subarray([...footer.columns.keys()], { minLength: 1 }),
    gapBytesMin: fc.constantFrom(0, 10, 1_000, 1e6),
    pieceBytesMax: fc.constantFrom(7, 1_000, 1e6),
  });
  await fc.assert(
    fc.asyncProperty(choices, async ({ rowGroups, columns, ...limits }) => {
      // DuckDB remembers files by name and time.
      const slicePath = `${path}.${count++}.slice`;
      await writeFile(slicePath, sliceOf(file, footer, { rowGroups, columns }, limits));
      const names = columns.map((index) => `"${footer.columns[index]?.name ?? ''}"`).join(', ');
      const expected = await rowsOf(
        connection,
        `SELECT ${names} FROM read_parquet('${path}', file_row_number = true)
          WHERE ${numbersOf(footer, rowGroups)} ORDER BY file_row_number`,
      );
      const found = await rowsOf(
        connection,
        `SELECT ${names} FROM read_parquet('${slicePath}', file_row_number = true) ORDER BY file_row_number`,
      );
      assert.deepEqual(found, expected);
      const shown = `row_group_num_rows, path_in_schema, type, num_values, stats_min, stats_max, stats_null_count,
        stats_min_value, stats_max_value, compression, encodings, total_compressed_size, total_uncompressed_size`;
      const known = await rowsOf(
        connection,
        `SELECT ${shown} FROM parquet_metadata('${path}') WHERE row_group_id IN (${rowGroups.join() || '-1'})
          AND column_id IN (${columns.join()}) ORDER BY row_group_id, column_id`,
      );
      const shownOfSlice = await rowsOf(connection, `SELECT ${shown} FROM parquet_metadata('${slicePath}')`);
      // Of a file without row groups DuckDB may show one row of nulls.
      if (rowGroups.length > 0) assert.deepEqual(shownOfSlice, known);
      const [schema] = await rowsOf(
        connection,
        `SELECT num_rows, num_row_groups FROM parquet_file_metadata('${slicePath}')`,
      );
      assert.deepEqual(schema, [String(expected.length), String(rowGroups.length)]);
    }),
    { numRuns: runs },
  );
}

async function rowsOf(connection: DuckDBConnection, sql: string): Promise<unknown[]> {
  return (await connection.runAndReadAll(sql)).getRowsJson();
}

function numbersOf({ rowGroups }: ParquetFooter, chosen: readonly number[]): string {
  let first = 0;
  const ranges = rowGroups.map(({ rowCount }, index) => {
    const from = first;
    first += rowCount;
    return chosen.includes(index) ? `file_row_number BETWEEN ${from} AND ${first - 1}` : 'false';
  });
  return `(${['false', ...ranges].join(' OR ')})`;
}
