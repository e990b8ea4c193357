/**
 * Rows as data files that each hold whole series: sorted by tags and time, cut between series.
 *
 * 1. The series are counted and numbered in the order of their tags. Memory and spill are those of a table of the series.
 * 2. One file after the other takes the next series until it has its share of rows (`planRowCount`), and is written from the
 *    rows of these series alone, so that no sort is of more than a file, however large the day. What it came to in bytes
 *    says how many rows the next one takes.
 *
 * Row groups of files that are sorted so hold few series each: readers skip the others by their statistics.
 */
import type { TableColumns } from '@varve/common/contract/columns.js';
import { writeDataFile, type WrittenFile } from '../delta/data-file-writer.js';
import type { Session } from '../delta/duckdb.js';
import { isSameSeries, numberSeries } from '../delta/number-series.js';
import { quoteName, quoteText } from '../delta/sql-text.js';

export interface SortTask {
  /** A query in brackets with the table's columns; of one UTC day, at least one row. */
  readonly relation: string;
  readonly columns: TableColumns;
  /** Of the files that `relation` reads: a first guess of what new ones will have. */
  readonly bytes: number;
  readonly targetBytes: number;
  readonly newPath: () => string;
}

const seriesTable = 'series';

/** Each file before the next one is begun: the caller may take its time, or end it. */
export async function* writeSorted(session: Session, task: SortTask): AsyncGenerator<WrittenFile> {
  const { relation, columns, targetBytes, newPath } = task;
  if (columns.tags.length === 0 || planRowCount(task.bytes, targetBytes) >= task.bytes) {
    yield await writeDataFile(session, relation, columns, newPath(), { isLasting: true });
    return;
  }
  const { rows: rowCount } = await numberSeries(session, seriesTable, relation, columns);
  try {
    let [firstId, rowsDone, bytesDone] = [1, 0, 0];
    while (rowsDone < rowCount) {
      const bytesPerRow = rowsDone === 0 ? task.bytes / rowCount : bytesDone / rowsDone;
      const rowsWanted = planRowCount(rowCount - rowsDone, targetBytes / bytesPerRow);
      const lastId = await findLast(session, firstId, rowsDone + rowsWanted);
      const part = await partOf(session, task, { firstId, lastId });
      const written = await writeDataFile(session, part, columns, newPath(), { isLasting: true });
      yield written;
      [firstId, rowsDone] = [lastId + 1, rowsDone + written.statistics.rowCount];
      bytesDone += written.bytes;
    }
  } finally {
    await session.run(`DROP TABLE ${seriesTable}`);
  }
}

/** All that is left, rather than a last file of less than half the others' size. */
export function planRowCount(left: number, wanted: number): number {
  return left <= wanted * 1.5 ? left : wanted;
}

/** At least one series, however many rows it has. */
async function findLast(session: Session, firstId: number, rowsThrough: number): Promise<number> {
  const [row] = await session.rows(`
    SELECT max("@id") AS id FROM ${seriesTable}
    WHERE "@id" = ${firstId} OR ("@id" > ${firstId} AND "@rows_through" <= ${Math.ceil(rowsThrough)})`);
  return Number(row?.['id']);
}

interface SeriesRange {
  readonly firstId: number;
  readonly lastId: number;
}

async function partOf(
  session: Session,
  { relation, columns }: SortTask,
  { firstId, lastId }: SeriesRange,
): Promise<string> {
  const chosen = `(SELECT * FROM ${seriesTable} WHERE "@id" BETWEEN ${firstId} AND ${lastId})`;
  return `(
    SELECT rows.* FROM (SELECT * FROM ${relation} WHERE ${await firstTagBounds(session, columns, chosen)}) AS rows
    SEMI JOIN ${chosen} AS chosen ON ${isSameSeries(columns, 'rows', 'chosen')})`;
}

/** What the join says anyway, as a condition on one column: row groups without these values are not read. */
async function firstTagBounds(session: Session, { tags }: TableColumns, chosen: string): Promise<string> {
  const name = quoteName(tags[0]?.name ?? '');
  const [row = {}] = await session.rows(
    `SELECT min(${name}) AS low, max(${name}) AS high, count(*) > count(${name}) AS has_null FROM ${chosen}`,
  );
  if (row['low'] === null) return `${name} IS NULL`;
  const bounds = `${name} BETWEEN ${quoteText(String(row['low']))} AND ${quoteText(String(row['high']))}`;
  return row['has_null'] === true ? `(${bounds} OR ${name} IS NULL)` : bounds;
}
