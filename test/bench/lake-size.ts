/**
 * `lake-size`: what a value takes at rest, compacted, as a double and with a declared resolution (DESIGN §8). Three days of
 * random walks, as closed days are written: one file a day, sorted by tags and time.
 */
import { join } from 'node:path';
import { writeDataFile } from '@varve/tsdb/delta/data-file-writer.js';
import { DuckDb, type Session } from '@varve/tsdb/delta/duckdb.js';
import { quotePath } from '@varve/tsdb/delta/sql-text.js';
import { temporaryFolder } from '../installation.js';
import { withOwner, type BenchOptions } from './bench-run.js';
import { createWalks, firstDayMs, rowsPerDay, valuesPerRow, walkColumns } from './random-walks.js';
import { verdict, type Cell, type Report } from './report.js';

const days = 3;

const cases = [
  { what: 'doubles', decimals: undefined, target: 1.3 },
  { what: 'a declared resolution of 2', decimals: 2, target: 0.52 },
] as const;

interface Size {
  readonly bytes: number;
  readonly seconds: number;
  /** Bytes a row of the column `time`. */
  readonly timeBytes: number;
}

export async function benchLakeSize({ note }: BenchOptions): Promise<Report> {
  return await withOwner(async (owner) => {
    const folder = temporaryFolder(owner);
    const duckDb = new DuckDb({
      tempDir: folder,
      memoryBytesMax: 2 ** 30,
      tempBytesMax: 2 ** 33,
      threads: 2,
    });
    owner.after(() => duckDb.close());
    note(`lake-size: making ${days * rowsPerDay} rows`);
    await duckDb.withSession((session) => createWalks(session, days));
    const rows: Cell[][] = [];
    const findings: string[] = [];
    for (const { what, decimals, target } of cases) {
      note(`lake-size: ${what}`);
      const size = await duckDb.withSession((session) => writeDays(session, folder, decimals));
      const perValue = size.bytes / (days * rowsPerDay * valuesPerRow);
      rows.push([what, perValue, size.timeBytes, (days * rowsPerDay) / size.seconds / 1e6]);
      findings.push(
        `${what}: ${perValue.toFixed(3)} bytes a value, target ≤ ${target}: ${verdict(perValue <= target)}`,
      );
    }
    const columns = ['stored as', 'bytes a value, all told', 'of time, a row', 'million rows/s'];
    const title = `${days} days of random walks, 200 series of five fields every 10 s, a file a day`;
    return { bench: 'lake-size', tables: [{ title, columns, rows }], findings };
  });
}

async function writeDays(session: Session, folder: string, decimals: number | undefined): Promise<Size> {
  const startedMs = performance.now();
  let [bytes, timeBytes] = [0, 0];
  for (let day = 0; day < days; day++) {
    const date = new Date(firstDayMs + day * 86_400_000).toISOString().slice(0, 10);
    const path = join(folder, `${decimals ?? 'double'}-${date}.parquet`);
    const relation = `(SELECT * FROM walk WHERE CAST(time AS DATE) = '${date}')`;
    bytes += (await writeDataFile(session, relation, walkColumns(decimals), path, { isLasting: true })).bytes;
    const [chunks] = await session.rows(`
      SELECT sum(total_compressed_size)::DOUBLE AS bytes FROM parquet_metadata(${quotePath(path)})
      WHERE path_in_schema = 'time'`);
    timeBytes += Number(chunks?.['bytes']) / rowsPerDay / days;
  }
  return { bytes, timeBytes, seconds: (performance.now() - startedMs) / 1_000 };
}
