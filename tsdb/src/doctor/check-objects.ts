/**
 * Holds a table's log against the objects in its folder, for `varve-tsdb doctor`: by listing, and by reading some files.
 */
import { tableRoot } from '@varve/common/contract/object-keys.js';
import { isFailure, messageOf } from '@varve/common/errors.js';
import type { Store } from '@varve/common/store/store.js';
import { CheckpointFiles } from '../delta/checkpoint-files.js';
import { SqlError, type Session } from '../delta/duckdb.js';
import { boundsOf, compareTexts } from '../delta/file-bounds.js';
import { deletedFileRetentionMs } from '../delta/intervals.js';
import type { TableState } from '../delta/replay.js';
import type { DataFile } from '../delta/snapshot.js';
import { quoteName, quotePath } from '../delta/sql-text.js';
import type { Finding } from './finding.js';

const namedMax = 20;

export async function checkObjects(
  store: Store,
  state: TableState,
  table: string,
  nowMs: number,
): Promise<Finding[]> {
  const expected = new Map([...state.files.values()].map((file) => [file.key, file]));
  const findings: Finding[] = [];
  const [orphans, cutoffMs] = [{ count: 0, bytes: 0 }, nowMs - 2 * deletedFileRetentionMs(state.metaData)];
  for await (const { key, bytes, modifiedMs } of store.list(tableRoot(state.name))) {
    const file = expected.get(key);
    expected.delete(key);
    if (file && file.bytes !== bytes) findings.push(wrongSize(table, file, bytes));
    if (file || key.slice(tableRoot(state.name).length).startsWith('_') || modifiedMs > cutoffMs) continue;
    orphans.count += 1;
    orphans.bytes += bytes;
  }
  findings.push(...[...expected.values()].map((file) => missing(table, file)));
  if (orphans.count > 0)
    findings.push({
      kind: 'object',
      table,
      text: `${orphans.count} files (${(orphans.bytes / 1e6).toFixed(1)} MB) are old and belong to no live version`,
      remedy: `varve-tsdb vacuum ${state.name.table} --dry-run says which no version needs`,
    });
  return bounded(findings, table);
}

/** So that a table that lost a million files still makes a report. */
function bounded(findings: readonly Finding[], table: string): Finding[] {
  if (findings.length <= namedMax) return [...findings];
  const rest = findings.length - namedMax;
  const more: Finding = { kind: 'object', table, text: `and ${rest} more like these`, remedy: 'as above' };
  return [...findings.slice(0, namedMax), more];
}

function missing(table: string, { key, rowCount, day }: DataFile): Finding {
  return {
    kind: 'object',
    table,
    text: `${key} is missing: ${rowCount} rows of ${day}`,
    remedy: 'restore the object from a backup, or the table to a version without it',
  };
}

function wrongSize(table: string, { key, bytes }: DataFile, found: number): Finding {
  return {
    kind: 'object',
    table,
    text: `${key} has ${found} bytes, by the log ${bytes}`,
    remedy: 'restore the object from a backup: data files are never changed in place',
  };
}

/** Reads `sampled` files of the table, spread over all of them. */
export async function checkStatistics(
  store: Store,
  files: CheckpointFiles,
  state: TableState,
  table: string,
  sampled: number,
): Promise<Finding[]> {
  const all = [...state.files.values()];
  const step = Math.max(1, Math.floor(all.length / sampled));
  const findings: Finding[] = [];
  for (const file of all.filter((_, index) => index % step === 0).slice(0, sampled)) {
    // One that is missing has been found already.
    if (!(await store.head(file.key))) continue;
    const lies = await readLies(files, state, file);
    for (const text of lies)
      findings.push({ kind: 'statistics', table, text: `${file.key}: ${text}`, remedy });
  }
  return findings;
}

const remedy =
  'queries leave out what is there: compaction rewrites the file; until then query with other engines';

async function readLies(files: CheckpointFiles, state: TableState, file: DataFile): Promise<string[]> {
  const part = { version: 0, keys: [file.key], modifiedMs: 0 };
  try {
    return await files.withSession(part, (session, [path = '']) => compare(session, path, state, file));
  } catch (error) {
    if (!(error instanceof SqlError) && !isFailure(error, 'object_corrupt')) throw error;
    return [`cannot be read: ${messageOf(error)}`];
  }
}

async function compare(session: Session, path: string, state: TableState, file: DataFile): Promise<string[]> {
  const relation = `read_parquet(${quotePath(path)}, hive_partitioning = false)`;
  const found = await session.rows(`DESCRIBE SELECT * FROM ${relation}`);
  const present = new Set(found.map((row) => String(row['column_name'])));
  const { tags, fields } = state.columns;
  const isNumber = new Set(fields.filter(({ type }) => type !== 'string').map(({ name }) => name));
  const columns = [...tags, ...fields].filter(({ name }) => present.has(name) && boundsOf(file, name));
  const bounds = columns.map(({ name }, index) => {
    const value = isNumber.has(name) ? `CAST(${quoteName(name)} AS DOUBLE)` : quoteName(name);
    return `, min(${value}) AS min_${index}, max(${value}) AS max_${index}`;
  });
  const [row = {}] = await session.rows(`SELECT count(*) AS n, epoch_us(min("time")) AS first,
    epoch_us(max("time")) AS last ${bounds.join('')} FROM ${relation}`);
  const lies: string[] = [];
  const said = (what: string, value: unknown) => `by the log ${what} ${String(value)}`;
  if (!Number.isNaN(file.rowCount) && Number(row['n']) !== file.rowCount)
    lies.push(`has ${Number(row['n'])} rows, ${said('it has', file.rowCount)}`);
  if (Number(row['first']) < file.minTimeUs || Number(row['last']) > file.maxTimeUs)
    lies.push('has rows outside the time range in the log');
  for (const [index, { name }] of columns.entries()) {
    const { min, max } = boundsOf(file, name) ?? {};
    const [least, greatest] = [row[`min_${index}`], row[`max_${index}`]];
    if (isBelow(least, min)) lies.push(`${name} goes down to ${String(least)}, ${said('to', min)}`);
    if (isBelow(max, greatest)) lies.push(`${name} goes up to ${String(greatest)}, ${said('to', max)}`);
  }
  return lies;
}

function isBelow(left: unknown, right: unknown): boolean {
  if (typeof left === 'number' && typeof right === 'number') return left < right;
  return typeof left === 'string' && typeof right === 'string' && compareTexts(left, right) < 0;
}
