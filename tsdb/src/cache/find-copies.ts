/**
 * What an earlier run left in the cache's folder: copies whose checksum is known and whose size is right are kept, anything
 * else is removed. What is in them is looked at when they are asked for.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { indexName, type IndexEntry } from './checksum-index.js';

/** Oldest first: the time of the download is the best known of an earlier run's uses. */
export async function findCopies(
  folder: string,
  known: ReadonlyMap<string, IndexEntry>,
): Promise<IndexEntry[]> {
  await mkdir(folder, { recursive: true });
  const found: (IndexEntry & { modifiedMs: number })[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path).replaceAll(sep, '/');
    if (entry.isDirectory() || name === indexName) continue;
    const expected = known.get(name);
    const { size, mtimeMs } = await stat(path);
    if (entry.isFile() && size === expected?.bytes) found.push({ ...expected, modifiedMs: mtimeMs });
    else await rm(path);
  }
  return found.sort((a, b) => a.modifiedMs - b.modifiedMs);
}
