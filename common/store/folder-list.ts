/**
 * Lists a folder store in the order of keys.
 *
 * 1. Start at the deepest directory that the prefix names.
 * 2. Sort a directory's entries as their keys sort: a directory counts as its name with `/`, because `a-b` < `a.b` <
 *    `a/b`, although `a` < `a-b`.
 * 3. Leave out whole directories that the prefix or `startAfter` excludes, without reading them.
 *
 * In memory: the names of one directory per level, never those of the whole store. What vanishes meanwhile is left out;
 * what is created meanwhile may or may not be listed.
 */
import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCodeOf } from '../errors.js';
import { compareKeys, isStoreKey } from './store-key.js';
import type { ListOptions, ObjectInfo } from './store.js';

/** How many files are asked for their size at once: Node's four file threads stay busy, memory stays flat. */
const statBatchSize = 64;

interface Scan {
  readonly root: string;
  readonly prefix: string;
  readonly startAfter: string;
}

interface Entry {
  /** The object's key, or a directory's with a trailing slash. */
  readonly key: string;
  readonly isDirectory: boolean;
}

export async function* listFolder(
  root: string,
  prefix: string,
  { startAfter = '' }: ListOptions = {},
): AsyncGenerator<ObjectInfo> {
  const directoryKey = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  // Also keeps `../` from leading out of the store.
  if (directoryKey !== '' && !isStoreKey(directoryKey.slice(0, -1))) return;
  yield* listDirectory({ root, prefix, startAfter }, directoryKey);
}

async function* listDirectory(scan: Scan, directoryKey: string): AsyncGenerator<ObjectInfo> {
  const entries = await readEntries(scan, directoryKey);
  for (let first = 0; first < entries.length; first += statBatchSize) {
    const batch = entries.slice(first, first + statBatchSize);
    const infos = await Promise.all(batch.map((entry) => readEntryInfo(scan, entry)));
    for (const [index, entry] of batch.entries()) {
      const info = infos[index];
      if (entry.isDirectory) yield* listDirectory(scan, entry.key);
      else if (info) yield info;
    }
  }
}

async function readEntries(scan: Scan, directoryKey: string): Promise<Entry[]> {
  const children = await unlessMissing(readdir(join(scan.root, directoryKey), { withFileTypes: true }));
  return (children ?? [])
    .map((child) => toEntry(directoryKey, child))
    .filter((entry) => entry !== undefined)
    .filter((entry) => mayBeListed(scan, entry))
    .sort((left, right) => compareKeys(left.key, right.key));
}

/** Undefined for what is no object and holds none: sockets, links, the temporary directory, names that are no keys. */
function toEntry(directoryKey: string, child: Dirent): Entry | undefined {
  const key = directoryKey + child.name;
  if (!isStoreKey(key)) return undefined;
  if (child.isDirectory()) return { key: `${key}/`, isDirectory: true };
  return child.isFile() ? { key, isDirectory: false } : undefined;
}

function mayBeListed({ prefix, startAfter }: Scan, { key, isDirectory }: Entry): boolean {
  const isAfter = compareKeys(key, startAfter) > 0;
  if (!isDirectory) return key.startsWith(prefix) && isAfter;
  return (key.startsWith(prefix) || prefix.startsWith(key)) && (isAfter || startAfter.startsWith(key));
}

async function readEntryInfo({ root }: Scan, entry: Entry): Promise<ObjectInfo | undefined> {
  return entry.isDirectory ? undefined : await readInfo(root, entry.key);
}

/** Undefined where there is no object: nothing, or a directory. */
export async function readInfo(root: string, key: string): Promise<ObjectInfo | undefined> {
  const stat = await unlessMissing(lstat(join(root, key)));
  return stat?.isFile() ? { key, bytes: stat.size, modifiedMs: stat.mtimeMs } : undefined;
}

/** Undefined where no object has the path: nothing at all, a directory, or a file where the key has a directory. */
export async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(systemCodeOf(error) ?? '')) return undefined;
    throw error;
  }
}
