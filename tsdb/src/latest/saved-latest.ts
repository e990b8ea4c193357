/**
 * Newest rows on disk, so that a restart does not read the lake: `<data_dir>/latest/<database>.<table>`.
 *
 * A hint: it says of which version it is, and a file that is missing, torn or of another table counts as none. Written to
 * one side and renamed; not fsynced.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { formatTableName } from '../delta/table-metadata.js';
import type { LatestRow } from './series.js';

const format = 1;

export interface SavedLatest {
  /** `metaData.id`: a table that was made anew has another one. */
  readonly tableId: string;
  readonly version: number;
  readonly rows: Map<string, LatestRow>;
}

export async function loadLatest(folder: string, name: TableName): Promise<SavedLatest | undefined> {
  try {
    const saved = deserialize(await readFile(pathOf(folder, name))) as SavedLatest & { format?: unknown };
    return saved.format === format && saved.rows instanceof Map ? saved : undefined;
  } catch {
    // Not there, or cut off by a kill: it is made again.
    return undefined;
  }
}

export async function saveLatest(folder: string, name: TableName, saved: SavedLatest): Promise<void> {
  const path = pathOf(folder, name);
  await mkdir(folder, { recursive: true });
  await writeFile(`${path}.new`, serialize({ format, ...saved }));
  await rename(`${path}.new`, path);
}

export async function forgetLatest(folder: string, name: TableName): Promise<void> {
  await rm(pathOf(folder, name), { force: true });
}

function pathOf(folder: string, name: TableName): string {
  return join(folder, formatTableName(name));
}
