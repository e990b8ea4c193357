/**
 * `lake-compact`: rows a second of a closed day that is sorted by tags and time, as compaction does it (`upkeep/write-sorted.ts`),
 * from files of an hour each that ingest has merged; and what a value takes before and after. From and to local files.
 */
import { join } from 'node:path';
import { writeDataFile } from '@varve/tsdb/delta/data-file-writer.js';
import { DuckDb, type Session } from '@varve/tsdb/delta/duckdb.js';
import { rowsOfFiles } from '@varve/tsdb/delta/file-rows.js';
import { timestampUs } from '@varve/tsdb/delta/sql-text.js';
import { writeSorted } from '@varve/tsdb/upkeep/write-sorted.js';
import { temporaryFolder } from '../installation.js';
import { withOwner, type BenchOptions } from './bench-run.js';
import { createWalks, firstDayMs, rowsPerDay, valuesPerRow, walkColumns } from './random-walks.js';
import { verdict, type Cell, type Report } from './report.js';

const hours = 24;
const rowsPerSecondTarget = 2e6;
const targetBytes = 128 * 2 ** 20;

const cases = [
  { what: 'doubles', decimals: undefined },
  { what: 'a declared resolution of 2', decimals: 2 },
] as const;

interface Compacted {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly seconds: number;
  /** Of processor time, which other work on the machine does not change much. */
  readonly processorSeconds: number;
}

export async function benchLakeCompact({ note }: BenchOptions): Promise<Report> {
  return await withOwner(async (owner) => {
    const folder = temporaryFolder(owner);
    const duckDb = new DuckDb({
      tempDir: folder,
      memoryBytesMax: 2 ** 30,
      tempBytesMax: 2 ** 33,
      threads: 2,
    });
    owner.after(() => duckDb.close());
    note(`lake-compact: making ${rowsPerDay} rows`);
    await duckDb.withSession((session) => createWalks(session, 1));
    const rows: Cell[][] = [];
    const findings: string[] = [];
    for (const { what, decimals } of cases) {
      note(`lake-compact: ${what}`);
      const compacted = await duckDb.withSession((session) => compactDay(session, folder, decimals));
      const rowsPerSecond = rowsPerDay / compacted.seconds;
      const perValue = (bytes: number) => bytes / (rowsPerDay * valuesPerRow);
      const ofProcessor = rowsPerDay / compacted.processorSeconds / 1e6;
      rows.push([
        what,
        rowsPerSecond / 1e6,
        ofProcessor,
        perValue(compacted.bytesBefore),
        perValue(compacted.bytesAfter),
      ]);
      findings.push(
        `${what}: ${(rowsPerSecond / 1e6).toFixed(2)} M rows/s, target ≥ 2: ${verdict(rowsPerSecond >= rowsPerSecondTarget)}`,
      );
    }
    const columns = [
      'stored as',
      'million rows/s',
      'a second of processor time',
      'bytes a value before',
      'after',
    ];
    const title = `A day of ${rowsPerDay} rows and ${valuesPerRow} fields in ${hours} files`;
    return { bench: 'lake-compact', tables: [{ title, columns, rows }], findings };
  });
}

async function compactDay(
  session: Session,
  folder: string,
  decimals: number | undefined,
): Promise<Compacted> {
  const columns = walkColumns(decimals);
  const paths: string[] = [];
  let bytesBefore = 0;
  for (let hour = 0; hour < hours; hour++) {
    const path = join(folder, `${decimals ?? 'double'}-${hour}.parquet`);
    const hourUs = (firstDayMs + hour * 3_600_000) * 1_000;
    const relation = `(SELECT * FROM walk WHERE time BETWEEN ${timestampUs(hourUs)} AND ${timestampUs(hourUs + 3_599_999_999)})`;
    bytesBefore += (await writeDataFile(session, relation, columns, path)).bytes;
    paths.push(path);
  }
  const [startedMs, usage] = [performance.now(), process.cpuUsage()];
  let bytesAfter = 0;
  const task = {
    relation: rowsOfFiles(paths, columns),
    ...{ columns, bytes: bytesBefore, targetBytes },
    newPath: () => join(folder, `${decimals ?? 'double'}-sorted-${paths.push('')}.parquet`),
  };
  for await (const { bytes } of writeSorted(session, task)) bytesAfter += bytes;
  const seconds = (performance.now() - startedMs) / 1_000;
  const { user, system } = process.cpuUsage(usage);
  return { bytesBefore, bytesAfter, seconds, processorSeconds: (user + system) / 1e6 };
}
