/**
 * An `add` of the log becomes a data file. One object per live file stays in memory, so it holds no more than it must (some
 * 400 bytes with two tags and three numbers, of which the path takes 80): its key and bounds are put together when asked
 * for, texts that files have in common are shared, and doubles stand in one array, since each that is a member of an
 * object is an object of its own.
 */
import { dataFileKey, type TableName } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { Add } from './actions.js';
import { parseLevel } from './file-actions.js';
import { packBounds, type BoundsLayout, type FileBounds, type PackedBounds } from './file-bounds.js';
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
  const extent = narrowByTags(extentOf(raw, day), add.tags);
  const packed = layout && packBounds(layout, raw, isOurs(add.tags), timesLength);
  return new LogFile(tableOf(name, layout), add, shareDay(day), extent, packed);
}

/** What all files of a table share. */
interface FileTable {
  readonly name: TableName;
  readonly layout: BoundsLayout | undefined;
}

/** Files come table by table. */
let lastTable: FileTable | undefined;

function tableOf(name: TableName, layout: BoundsLayout | undefined): FileTable {
  if (lastTable?.name !== name || lastTable.layout !== layout) lastTable = { name, layout };
  return lastTable;
}

/** Behind the bounds in `#numbers`: first time, last time, when it was added. */
const timesLength = 3;

class LogFile implements DataFile {
  readonly path: string;
  readonly day: string;
  readonly bytes: number;
  readonly rowCount: number;
  readonly level: number;
  readonly #table: FileTable;
  readonly #tags: PackedBounds['tags'] | undefined;
  readonly #numbers: readonly number[];

  constructor(
    table: FileTable,
    { path, size, tags, modificationTime }: Add,
    day: string,
    { rowCount, minTimeUs, maxTimeUs }: FileExtent,
    packed: PackedBounds | undefined,
  ) {
    this.path = path;
    this.day = day;
    this.bytes = size;
    this.rowCount = rowCount;
    this.level = parseLevel(tags);
    this.#table = table;
    this.#tags = packed?.tags;
    const numbers = packed?.numbers ?? new Array<number>(timesLength);
    const timesAt = numbers.length - timesLength;
    numbers[timesAt] = minTimeUs;
    numbers[timesAt + 1] = maxTimeUs;
    numbers[timesAt + 2] = modificationTime;
    this.#numbers = numbers;
  }

  get minTimeUs(): number {
    return this.#fromEnd(3);
  }

  get maxTimeUs(): number {
    return this.#fromEnd(2);
  }

  get addedMs(): number {
    return this.#fromEnd(1);
  }

  get bounds(): FileBounds | undefined {
    const { layout } = this.#table;
    return layout && this.#tags && { layout, tags: this.#tags, numbers: this.#numbers };
  }

  get key(): string {
    return dataFileKey(this.#table.name, decodeURIComponent(this.path));
  }

  #fromEnd(place: number): number {
    return this.#numbers[this.#numbers.length - place] ?? Number.NaN;
  }
}

/** `add.path` is a URI reference (PROTOCOL.md, "Add File"); ours need no escaping, other writers' may. */
function requireInside(name: TableName, path: string): void {
  try {
    // The ordinary case, a million times.
    if (!/[%:]|^\/|\.\./.test(path)) return;
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
