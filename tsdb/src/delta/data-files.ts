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
  /** Local path by `DataFile.path`, of the file or of a part of it. Read only. Without those of which nothing is wanted. */
  readonly paths: ReadonlyMap<string, string>;
  /** Of these local files. */
  readonly bytes: number;
  release(): void;
}

export interface ReadEstimate {
  /** Of what the files hold that is wanted. */
  readonly bytes: number;
  readonly storeRequests: number;
  readonly storeBytes: number;
}

export interface DataFiles {
  /**
   * Brings files of one table here, unless they are here already.
   * @throws Failure `object_missing` naming the file, `store_unavailable`, `disk_full`
   */
  acquire(files: readonly DataFile[]): Promise<AcquiredFiles>;

  /**
   * The same without a look whether copies are still there: whoever misses one calls `forgetMissing` and acquires them again.
   * At once where nothing need be waited for.
   * @param wanted undefined: all
   */
  acquireUnseen(
    files: readonly DataFile[],
    wanted: Wanted | undefined,
  ): AcquiredFiles | Promise<AcquiredFiles>;

  /**
   * What `acquireUnseen` would read, and bring here first. May look at footers; never throws.
   * @param bytesMax where it is more that is read, any number over this is as good: further files are not looked at
   */
  estimate(files: readonly DataFile[], wanted: Wanted | undefined, bytesMax?: number): Promise<ReadEstimate>;

  /** Forgets copies that somebody has deleted. */
  forgetMissing(): Promise<void>;

  /** Takes over a local file that has just been uploaded as `key`, so that it need not come back. May move it. */
  adopt(key: string, localPath: string): Promise<void>;

  /** Says that a file could not be read: its copy is looked at before it is handed out again. */
  doubt(key: string): void;
}
