/**
 * Local files that are there whole or not at all, and stay.
 *
 * A file's bytes are fsynced before it gets its name, and the directory after it: an fsync of the file alone does not
 * make its name durable. Linux and macOS; a process killed on the way leaves a temporary file and nothing else.
 */
import { randomUUID } from 'node:crypto';
import { constants, copyFile, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCodeOf } from '../errors.js';
import type { ObjectBody } from './store.js';

/** Creates the file, which must not exist, and makes its bytes durable – not yet its name. */
export async function writeNewFile(path: string, body: ObjectBody): Promise<void> {
  if (body instanceof Uint8Array) await writeFile(path, body, { flag: 'wx' });
  else await copyFile(body.path, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  await syncPath(path);
}

/** Makes what was created, renamed and removed directly in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  try {
    await syncPath(path);
  } catch (error) {
    // ENOENT: what we put there was deleted meanwhile, and its empty directory after it. EINVAL: some network file
    // systems cannot fsync directories; they make names durable by themselves.
    if (!['ENOENT', 'EINVAL'].includes(systemCodeOf(error) ?? '')) throw error;
  }
}

/**
 * Lets `write` make a file under a temporary name beside `path`, which then replaces `path` in one step. If the process
 * is killed, `<path>.<uuid>.part` may stay behind: the owner of the directory removes those.
 */
export async function replaceFile(path: string, write: (partPath: string) => Promise<void>): Promise<void> {
  const partPath = `${path}.${randomUUID()}.part`;
  try {
    await write(partPath);
    await syncPath(partPath);
    await rename(partPath, path);
  } finally {
    await rm(partPath, { force: true });
  }
  await syncDirectory(dirname(path));
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
