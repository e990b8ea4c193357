/**
 * How a folder store gives names to files and takes them away: single steps of `FolderStore`, each safe against other
 * processes doing the same.
 */
import { link, lstat, readdir, rm, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, systemCodeOf } from '../errors.js';
import { unlessMissing } from './folder-list.js';

export async function linkName(temporaryPath: string, path: string): Promise<void> {
  try {
    await link(temporaryPath, path);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemCodeOf(error) ?? '')) throw error;
    throw new Failure('store_without_put_if_absent', `the file system of ${path} has no hard links`, {
      hint: 'keep the store on ext4, XFS, btrfs or NFS; FAT and exFAT cannot hold one',
      cause: error,
    });
  }
}

/** `link` says "exists" of directories too, and then there is no object. */
export async function requireNoDirectory(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => undefined);
  if (stat?.isDirectory())
    throw new Failure('key_invalid', `${path} is a directory, so no object can have this name`);
}

/** Leaves a directory of that name alone: it is no object. */
export async function removeObjectFile(path: string): Promise<void> {
  await unlessMissing(unlink(path));
}

/** True where the directory is gone. */
export async function removeIfEmpty(directory: string): Promise<boolean> {
  try {
    await rmdir(directory);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return true;
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')) return false;
    throw error;
  }
}

export async function removeLeftovers(directory: string, olderThanMs: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const stat = await lstat(path).catch(() => undefined);
    if (stat && stat.mtimeMs < olderThanMs) await rm(path, { force: true });
  }
}
