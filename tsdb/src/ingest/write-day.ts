/**
 * Writes the incoming rows of one day as one new data file, and says which live files it replaces, so that every
 * (tags, time) stays in the table once (DESIGN I7).
 *
 * 1. Live files that may hold a row of the late ones are candidates (`planOverlap`). None: a plain append.
 * 2. Of the candidates, those that hold a (tags, time) of the late rows are replaced; the others are left alone.
 * 3. The new file has the rows of the replaced ones and the incoming rows. Where two meet, each field takes the incoming
 *    value, or keeps the old one if that is null. Both sides have every identity once, so that a full join pairs them.
 */
import { resolve } from 'node:path';
import { timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import { writeDataFile, type WrittenFile } from '../delta/data-file-writer.js';
import type { DataFiles } from '../delta/data-files.js';
import type { Session } from '../delta/duckdb.js';
import { rowsOfFiles } from '../delta/file-rows.js';
import type { DataFile } from '../delta/snapshot.js';
import { quoteName, timestampUs } from '../delta/sql-text.js';
import { tagNames } from '../latest/series.js';
import { overwriteSql } from './merge-fields.js';
import { incomingRelation } from './merge-shipments.js';
import { planOverlap, type IncomingDay, type LateRows } from './plan-overlap.js';

export interface DayChange {
  readonly day: string;
  readonly written: WrittenFile;
  readonly replaced: readonly DataFile[];
  /** Whether the result depends on live files, even if none is replaced. */
  readonly hasReadFiles: boolean;
}

const time = quoteName(timeColumnName);
const fileColumn = '@file';

export interface DayTask {
  readonly dataFiles: DataFiles;
  readonly liveFiles: Iterable<DataFile>;
  /** The table's, with those that the incoming rows bring. */
  readonly columns: TableColumns;
  readonly incoming: IncomingDay;
  /** Those of the incoming rows that may meet others; undefined when there are none. */
  readonly late: LateRows | undefined;
  /** Where the new file goes. */
  readonly localPath: string;
}

export async function writeDay(session: Session, task: DayTask): Promise<DayChange> {
  const { dataFiles, liveFiles, columns, incoming, late, localPath } = task;
  const candidates = late ? planOverlap(liveFiles, late, tagNames(columns)) : [];
  const hasReadFiles = candidates.length > 0;
  const acquired = await dataFiles.acquire(candidates);
  try {
    const local = candidates.map((file) => toLocal(file, acquired.paths));
    const hit = late && hasReadFiles ? await findHit(session, local, columns, late) : [];
    const relation = hit.length > 0 ? joinSql(hit, columns, incoming) : `(${incomingOf(incoming)})`;
    const written = await writeDataFile(session, relation, columns, localPath);
    return { day: incoming.day, written, replaced: hit.map(({ file }) => file), hasReadFiles };
  } finally {
    acquired.release();
  }
}

interface LocalFile {
  readonly file: DataFile;
  /** Absolute, as DuckDB names it in its results. */
  readonly path: string;
}

function toLocal(file: DataFile, paths: ReadonlyMap<string, string>): LocalFile {
  const path = paths.get(file.path);
  if (path === undefined) throw new Error(`${file.path} was asked for and not brought`);
  return { file, path: resolve(path) };
}

async function findHit(
  session: Session,
  candidates: readonly LocalFile[],
  columns: TableColumns,
  late: LateRows,
): Promise<LocalFile[]> {
  const rows = await session.rows(`
    SELECT DISTINCT ${quoteName(fileColumn)} AS path
    FROM (SELECT * FROM ${existingOf(candidates, columns)} WHERE ${isBetween(late)}) AS existing
    SEMI JOIN (${incomingOf(late)}) AS incoming ON ${isSameRow(columns)}`);
  const hit = new Set(rows.map((row) => row['path']));
  return candidates.filter(({ path }) => hit.has(path));
}

function joinSql(hit: readonly LocalFile[], columns: TableColumns, incoming: IncomingDay): string {
  const identity = [timeColumnName, ...columns.tags.map(({ name }) => name)].map(quoteName);
  const values = [
    ...identity.map((name) => `coalesce(incoming.${name}, existing.${name}) AS ${name}`),
    ...overwriteSql(columns.fields),
  ];
  return `(
    SELECT ${values.join(', ')}
    FROM (${incomingOf(incoming)}) AS incoming
    FULL JOIN ${existingOf(hit, columns)} AS existing ON ${isSameRow(columns)})`;
}

function existingOf(files: readonly LocalFile[], columns: TableColumns): string {
  return rowsOfFiles(
    files.map(({ path }) => path),
    columns,
    fileColumn,
  );
}

function incomingOf(incoming: IncomingDay): string {
  return `SELECT * FROM ${incomingRelation} WHERE ${isBetween(incoming)}`;
}

/** The first and last time of the day's rows, and no other day's lie between them. */
function isBetween({ minTimeUs, maxTimeUs }: IncomingDay): string {
  return `${time} BETWEEN ${timestampUs(minTimeUs)} AND ${timestampUs(maxTimeUs)}`;
}

function isSameRow({ tags }: TableColumns): string {
  const sameTags = tags.map(
    ({ name }) => `incoming.${quoteName(name)} IS NOT DISTINCT FROM existing.${quoteName(name)}`,
  );
  return [`incoming.${time} = existing.${time}`, ...sameTags].join(' AND ');
}
