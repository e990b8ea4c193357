/**
 * The first bytes of the edge database (sqlite.org/fileformat.html#the_database_header), looked at before SQLite does: a
 * damaged byte there may make the file read-only or empty to it, and an empty file makes it delete the write-ahead log.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { Failure } from '@varve/common/errors.js';

export const pageBytes = 4_096;
/** Page size; written and read by WAL or, in the making, by the journal; no reserved bytes; the fixed fractions. */
const headerPattern = /^SQLite format 3\0\x10\0[\x01\x02][\x01\x02]\0\x40\x20\x20$/;
const walHeaderBytes = 32;

/** A file that is not there is right: it will be made. @throws Failure `log_corrupt` */
export function requireHeader(path: string): void {
  const bytes = fileBytes(path);
  const walBytes = fileBytes(`${path}-wal`);
  if (bytes === 0 && walBytes > walHeaderBytes)
    throw new Failure('log_corrupt', `${path} is empty, and its write-ahead log is not`);
  if (bytes > 0 && !headerPattern.test(readStart(path)))
    throw new Failure('log_corrupt', `${path} does not begin as an edge database does`);
}

function readStart(path: string): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(24);
    return bytes.toString('latin1', 0, readSync(file, bytes, 0, 24, 0));
  } finally {
    closeSync(file);
  }
}

/** None where there is no such file. */
export function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
