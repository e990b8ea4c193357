/**
 * One process per `data_dir`: what is in it is wiped at every start, which must not happen to a process that runs.
 *
 * The lock is a small DuckDB file, as DuckDB locks the file it opens and the system lets go of that lock however the
 * process ends. A file with a process number in it could do neither. Several tsdb on one store are fine (DESIGN §7), each
 * with a `data_dir` of its own.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { Failure, messageOf } from '@varve/common/errors.js';

export interface DataDirLock {
  release(): void;
}

/** Makes the folder if need be. @throws Failure `data_dir_in_use`, `data_dir_unusable` */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  const path = join(dataDir, 'lock.duckdb');
  await makeFolder(dataDir);
  try {
    return await openLock(path);
  } catch (error) {
    if (isHeld(error)) throw inUse(dataDir, error);
    // Of another version of DuckDB, or damaged. There is nothing in it.
    await rm(path, { force: true });
    return await openLock(path);
  }
}

async function openLock(path: string): Promise<DataDirLock> {
  const instance = await DuckDBInstance.create(path, { threads: '1', memory_limit: '32MB' });
  return { release: () => instance.closeSync() };
}

function isHeld(error: unknown): boolean {
  return messageOf(error).includes('Could not set lock on file');
}

function inUse(dataDir: string, cause: unknown): Failure {
  return new Failure('data_dir_in_use', `another varve-tsdb runs on ${dataDir}`, {
    cause,
    hint: 'stop it, or choose another data_dir',
  });
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw new Failure('data_dir_unusable', `cannot make ${path}: ${messageOf(cause)}`, {
      cause,
      hint: 'check its rights, or choose another data_dir',
    });
  }
}
