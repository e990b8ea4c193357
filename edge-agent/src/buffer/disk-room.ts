/** How large a file system is, and how much of it is free, for the user this runs as. */
import { statfs } from 'node:fs/promises';
import { fileFailure } from '@varve/common/store/file-failure.js';

export interface DiskRoom {
  /** What this user could have, were it empty: without what is reserved for root. */
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** Of the disk that `path` lies on. @throws Failure of the disk */
export async function diskRoom(path: string): Promise<DiskRoom> {
  try {
    const { blocks, bfree, bavail, bsize } = await statfs(path);
    return { totalBytes: (blocks - bfree + bavail) * bsize, freeBytes: bavail * bsize };
  } catch (error) {
    throw fileFailure(error, `ask how much of the disk of ${path} is free`);
  }
}
