/** An answer whose rows are in memory: one batch per series. */
import { BIGINT, DuckDBTimestampTZValue, type DuckDBValue } from '@duckdb/node-api';
import type { Answer, AnswerColumn, AnswerStats, RowBatch } from '../../query/query-answer.js';
import { numbersOrNaN, type CellVector } from '../../query/vector-memory.js';
import type { RangeRows } from './range-of-rows.js';

export interface RowsAnswerParts {
  readonly queryId: string;
  readonly columns: readonly AnswerColumn[];
  readonly rows: readonly RangeRows[];
  readonly rowsMax: number;
  readonly stats: () => AnswerStats;
  readonly onClose: (rowCount: number) => void;
}

export class RowsAnswer implements Answer {
  readonly queryId: string;
  readonly columns: readonly AnswerColumn[];
  readonly #parts: RowsAnswerParts;
  #rowCount = 0;
  #isTruncated = false;
  #isClosed = false;

  constructor(parts: RowsAnswerParts) {
    this.#parts = parts;
    this.queryId = parts.queryId;
    this.columns = parts.columns;
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  get stats(): AnswerStats {
    return this.#parts.stats();
  }

  cutOff(): void {
    this.#isTruncated = true;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- where rows come from a query they are waited for
  async *batches(): AsyncGenerator<RowBatch> {
    const { rows, rowsMax, columns } = this.#parts;
    for (const series of rows) {
      const rowCount = Math.min(series.timesUs.length, rowsMax - this.#rowCount);
      this.#isTruncated = rowCount < series.timesUs.length;
      this.#rowCount += rowCount;
      if (rowCount > 0) yield { rowCount, vectorAt: vectorsOf(series, columns) };
      if (this.#isTruncated) return;
    }
  }

  close(): Promise<void> {
    if (!this.#isClosed) this.#parts.onClose(this.#rowCount);
    this.#isClosed = true;
    return Promise.resolve();
  }
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
