/**
 * Local copies of data files, as the cache keeps them. Data files never change (DESIGN I8), so that a copy is as good as
 * the object.
 */
import type { DataFile, RowsExtent } from './snapshot.js';

/** What of files is wanted. More may come. */
export interface Wanted {
  /** Names in lower case; undefined: all. */
  readonly columns: ReadonlySet<string> | undefined;
  /** False only where it is certain that none of these rows matters. */
  readonly mayHold: (rows: RowsExtent) => boolean;
}

/** Local files that stay where they are until `release` is called. */
export interface AcquiredFiles {
  /** Local path by `DataFile.path`. Read only. */
  readonly paths: ReadonlyMap<string, string>;
  release(): void;
}

export interface DataFiles {
  /**
   * Brings files of one table here, unless they are here already.
   * @throws Failure `object_missing` naming the file, `store_unavailable`, `disk_full`
   */
  acquire(files: readonly DataFile[]): Promise<AcquiredFiles>;

  /** The same without a look whether copies are still there: whoever misses one calls `forgetMissing` and acquires them again. */
  acquireUnseen(files: readonly DataFile[]): Promise<AcquiredFiles>;

  /** Those that `acquire` would have to bring here first. */
  absent(files: readonly DataFile[]): readonly DataFile[];

  /** Forgets copies that somebody has deleted. */
  forgetMissing(): Promise<void>;

  /** Takes over a local file that has just been uploaded as `key`, so that it need not come back. May move it. */
  adopt(key: string, localPath: string): Promise<void>;

  /** Says that a file could not be read: its copy is looked at before it is handed out again. */
  doubt(key: string): void;
}
