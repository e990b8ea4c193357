/** How the log's thread opens the log: without losing what only a damaged write-ahead log still has. */
import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { finishSalvage } from './salvage.js';
import { SqliteLog, type SqliteLogOptions } from './sqlite-log.js';
import { readWal } from './wal-file.js';

/**
 * 1. Ends a salvage that was killed. 2. Where the write-ahead log has more than SQLite would see, keeps a copy: opening it
 * throws the rest away, which is right behind a power cut in the middle of a write. 3. Opens. The high-water mark says whether
 * the rest was needed: then the copy takes its place again, for the salvage.
 * @throws Failure `log_corrupt`: salvage it; and those of `SqliteLog`
 */
export function openLog(options: SqliteLogOptions): SqliteLog {
  const walPath = `${options.path}-wal`;
  const copyPath = `${walPath}.doubt`;
  finishSalvage(options.path);
  // Killed on the way: nothing was written since.
  if (existsSync(copyPath)) renameSync(copyPath, walPath);
  const isDoubtful = readWal(options.path)?.isDoubtful ?? false;
  if (isDoubtful) {
    copyFileSync(walPath, `${copyPath}.part`);
    renameSync(`${copyPath}.part`, copyPath);
  }
  try {
    const log = new SqliteLog(options);
    rmSync(copyPath, { force: true });
    return log;
  } catch (error) {
    if (isDoubtful) renameSync(copyPath, walPath);
    throw error;
  }
}
