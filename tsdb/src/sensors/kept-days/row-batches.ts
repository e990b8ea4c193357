/** Rows of series as the batches of an answer. */
import { BIGINT, DuckDBTimestampTZValue, type DuckDBValue } from '@duckdb/node-api';
import type { AnswerColumn, RowBatch } from '../../query/query-answer.js';
import { numbersOrNaN, type CellVector } from '../../query/vector-memory.js';
import type { RangeRows } from './range-of-rows.js';

/** One per series. */
export function batchesOf(rows: readonly RangeRows[], columns: readonly AnswerColumn[]): RowBatch[] {
  return rows.map((series) => ({ rowCount: series.timesUs.length, vectorAt: vectorsOf(series, columns) }));
}

function vectorsOf(
  { timesUs, tags, columns }: RangeRows,
  shown: readonly AnswerColumn[],
): (column: number) => CellVector {
  return (column) => {
    if (column === 0) return timesVector(timesUs);
    const tag = tags[column - 1];
    if (tag !== undefined) return tagVector(tag);
    const values = columns[column - 1 - tags.length] ?? new Float64Array();
    return shown[column]?.type === BIGINT ? countsVector(values) : numbersVector(values);
  };
}

function timesVector(timesUs: Float64Array): CellVector {
  return {
    numbers: { values: timesUs, states: undefined },
    getItem: (row) => new DuckDBTimestampTZValue(BigInt(timesUs[row] ?? 0)),
  };
}

function numbersVector(values: Float64Array): CellVector {
  return {
    numbers: numbersOrNaN(values),
    getItem: (row): DuckDBValue => {
      const value = values[row] ?? Number.NaN;
      return Number.isNaN(value) ? null : value;
    },
  };
}

function countsVector(values: Float64Array): CellVector {
  return { numbers: numbersOrNaN(values), getItem: (row) => BigInt(values[row] ?? 0) };
}

function tagVector(tag: string | null): CellVector {
  return { getItem: () => tag, isSame: () => tag !== null };
}
