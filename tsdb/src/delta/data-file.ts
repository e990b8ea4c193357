/**
 * An `add` of the log becomes a data file. One object per live file stays in memory, so it holds no more than it must: the
 * key is put together when asked for, and texts that files have in common are shared.
 */
import { dataFileKey, type TableName } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { Add } from './actions.js';
import { parseLevel } from './file-actions.js';
import { packBounds, type BoundsLayout, type FileBounds } from './file-bounds.js';
import type { DataFile } from './snapshot.js';
import { extentOf, isOurs, narrowByTags, parseStatistics, type FileExtent } from './statistics.js';
import { formatTableName } from './table-metadata.js';

/** @throws Failure `table_unreadable` when the file has no day, or is not inside the table */
export function toDataFile(name: TableName, add: Add, layout: BoundsLayout | undefined): DataFile {
  const day = add.partitionValues['day'];
  if (typeof day !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(day))
    throw new Failure('table_unreadable', `data file ${add.path} of ${formatTableName(name)} has no day`, {
      facts: { path: add.path },
    });
  requireInside(name, add.path);
  const raw = parseStatistics(add.stats);
  const bounds = layout && packBounds(layout, raw, isOurs(add.tags));
  return new LogFile(name, add, shareDay(day), narrowByTags(extentOf(raw, day), add.tags), bounds);
}

class LogFile implements DataFile {
  readonly path: string;
  readonly day: string;
  readonly bytes: number;
  readonly rowCount: number;
  readonly minTimeUs: number;
  readonly maxTimeUs: number;
  readonly bounds: FileBounds | undefined;
  readonly level: number;
  readonly addedMs: number;
  readonly #name: TableName;

  constructor(
    name: TableName,
    { path, size, tags, modificationTime }: Add,
    day: string,
    { rowCount, minTimeUs, maxTimeUs }: FileExtent,
    bounds: FileBounds | undefined,
  ) {
    this.path = path;
    this.day = day;
    this.bytes = size;
    this.rowCount = rowCount;
    this.minTimeUs = minTimeUs;
    this.maxTimeUs = maxTimeUs;
    this.bounds = bounds;
    this.level = parseLevel(tags);
    this.addedMs = modificationTime;
    this.#name = name;
  }

  get key(): string {
    return dataFileKey(this.#name, decodeURIComponent(this.path));
  }
}

/** `add.path` is a URI reference (PROTOCOL.md, "Add File"); ours need no escaping, other writers' may. */
function requireInside(name: TableName, path: string): void {
  try {
    const isAbsolute = /^(?:\/|[a-z][a-z0-9+.-]*:)/i.test(path);
    if (!isAbsolute && !decodeURIComponent(path).split('/').includes('..')) return;
  } catch {
    // Falls through: an escape that is none is as unreadable as an absolute path.
  }
  throw new Failure(
    'table_unreadable',
    `data file ${path} of ${formatTableName(name)} is not inside the table`,
    { facts: { path } },
  );
}

const sharedDays = new Map<string, string>();
const sharedDaysMax = 65_536;

function shareDay(day: string): string {
  const shared = sharedDays.get(day);
  if (shared !== undefined) return shared;
  if (sharedDays.size >= sharedDaysMax) sharedDays.clear();
  sharedDays.set(day, day);
  return day;
}
