/**
 * What an earlier run left in the cache's folder: whole copies are kept, anything else is removed.
 */
import type { Dirent } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

export interface FoundCopy {
  readonly key: string;
  readonly bytes: number;
}

/** Oldest first: the time of the download is the best known of an earlier run's uses. */
export async function findCopies(folder: string): Promise<FoundCopy[]> {
  await mkdir(folder, { recursive: true });
  const found: (FoundCopy & { modifiedMs: number })[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (isWholeCopy(entry)) {
      const { size, mtimeMs } = await stat(path);
      found.push({ key: relative(folder, path).replaceAll(sep, '/'), bytes: size, modifiedMs: mtimeMs });
    } else if (!entry.isDirectory()) await rm(path);
  }
  return found.sort((a, b) => a.modifiedMs - b.modifiedMs);
}

/** Unfinished downloads have another ending. */
function isWholeCopy(entry: Dirent): boolean {
  return entry.isFile() && entry.name.endsWith('.parquet');
}
