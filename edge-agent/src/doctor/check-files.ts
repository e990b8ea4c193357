/** The doctor's look at what lies beside the database: shipments, what was set aside, room on the disk, the clock. */
import { closeSync, openSync, readdirSync, readSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { BufferConfig } from '../buffer/buffer-config.js';
import { planKeepFreeBytes } from '../buffer/fit-to-disk.js';
import type { OutboxEntry } from '../log/edge-log.js';
import { SetAsideFolder } from '../log/set-aside-folder.js';
import { ok, problem, warning, type Finding } from './finding.js';

/** At both ends of a Parquet file. */
const parquetMagic = 'PAR1';
/** Before this, no program of ours was built: a clock that says so was never set. */
const builtMs = Date.UTC(2025, 0, 1);
const remade = 'nothing: the agent makes it again from its log when its turn comes';

export function checkOutbox(dataDir: string, entries: readonly OutboxEntry[]): Finding[] {
  const directory = join(dataDir, 'outbox');
  const wrong = entries.flatMap(({ file, bytes }) => {
    const why = whyBroken(join(directory, file), bytes);
    return why === undefined ? [] : [`${file} ${why}`];
  });
  const known = new Set(entries.map(({ file }) => file));
  const orphans = namesIn(directory).filter((name) => !known.has(name));
  return [
    wrong.length === 0
      ? ok('outbox', `${entries.length} shipments, every file whole`)
      : warning('outbox', wrong.slice(0, 5).join('; '), remade),
    ...(orphans.length === 0
      ? []
      : [warning('outbox', `${orphans.length} files without a row`, 'nothing: the next start removes them')]),
  ];
}

function whyBroken(path: string, bytes: number): string | undefined {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return 'is missing';
  if (size !== bytes) return `has ${size} bytes, not ${bytes}`;
  const ends = size < 8 ? [] : [readText(path, 0), readText(path, size - parquetMagic.length)];
  return ends.length === 2 && ends.every((end) => end === parquetMagic) ? undefined : 'is no Parquet file';
}

export function checkSetAside(databasePath: string): Finding {
  const folder = new SetAsideFolder(databasePath);
  const files = folder.files();
  if (files.length === 0) return ok('set aside', 'nothing');
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const newest = new Date(files.at(-1)?.changedMs ?? 0).toISOString();
  return warning(
    'set aside',
    `${files.length} files, ${(bytes / 1e6).toFixed(1)} MB, the newest of ${newest}: ${files.at(-1)?.name ?? ''}`,
    `table varve_losses says what was lost; check the disk, then delete ${folder.path} when nobody needs it`,
  );
}

export function checkRoom(dataDir: string, buffer: Pick<BufferConfig, 'keepFreeBytes'>): Finding {
  const { blocks, bfree, bavail, bsize } = statfsSync(dataDir);
  const free = bavail * bsize;
  const keepFreeBytes = buffer.keepFreeBytes ?? planKeepFreeBytes((blocks - bfree + bavail) * bsize);
  const found = `${(free / 1e6).toFixed(0)} MB free, buffer.keep_free is ${(keepFreeBytes / 1e6).toFixed(0)} MB`;
  return free > keepFreeBytes
    ? ok('disk', found)
    : problem('disk', found, 'free space on the disk of data_dir, or lower buffer.keep_free');
}

export function checkClock(nowMs: number, newestMs: number): Finding {
  const now = new Date(nowMs).toISOString();
  const advice = 'set the clock, or let systemd-timesyncd or chrony do it';
  if (nowMs < builtMs) return problem('clock', `it is ${now}: the clock was never set`, advice);
  if (nowMs < newestMs - 60_000)
    return warning(
      'clock',
      `it is ${now}, and a shipment was made at ${new Date(newestMs).toISOString()}`,
      advice,
    );
  return ok('clock', now);
}

function readText(path: string, position: number): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(parquetMagic.length);
    readSync(file, bytes, 0, bytes.length, position);
    return bytes.toString('latin1');
  } catch {
    return '';
  } finally {
    closeSync(file);
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
