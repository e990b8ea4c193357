/**
 * The salvage of a damaged edge database: a new one with all that can be read of the old one. Runs on the log's thread,
 * before the log is opened.
 *
 * 1. Mend the write-ahead log, where more of it can be proven than SQLite would see. 2. Decide whether the epoch goes on
 * (`plan-salvage.ts`). 3. Build `edge.sqlite.salvage`: every block that its checksum proves – through SQLite's tree, or else
 * from the bare pages –, the ledger, dead letters; with the epoch also lanes, outbox and position. What is missing becomes
 * rows of the ledger (`set_aside`) and known gaps. 4. Sync it and rename it to `edge.sqlite.ready`: the commit point. 5.
 * `finishSalvage`: forget the mark, move the old files to `set-aside/`, give the new one its name. Killed before 4: the next
 * start does all of it again. Killed after it: the next start does step 5 again.
 *
 * The new database needs room for everything readable beside the old one. The reserve and what was set aside before are
 * given up for it; if that is not enough, the start ends with `disk_full`, and nothing has changed.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { systemClock } from '@varve/common/clock.js';
import { DamagedDatabase, type Row } from './damaged-database.js';
import { markPathOf, readMark } from './high-water.js';
import { openLogDatabase } from './log-database.js';
import { planLosses, planStart, type SalvageStart, type SealedState } from './plan-salvage.js';
import { RawBlocks } from './raw-blocks.js';
import { SalvagedDatabase } from './salvaged-database.js';
import { SetAsideFolder } from './set-aside-folder.js';
import type { SeqRange } from './gaps.js';
import type { Loss } from './loss.js';
import { whyUnreadable, type PackedRow } from './stored-block.js';
import { mendWal, readWal } from './wal-file.js';

export interface SalvageOptions {
  readonly path: string;
  readonly agent: string;
  readonly newEpoch: string;
  /** What was found damaged, for people. */
  readonly why: string;
}

export interface SalvageReport {
  readonly why: string;
  readonly epoch: string;
  readonly isNewEpoch: boolean;
  readonly blocks: number;
  /** Messages that are gone: at most, where a new epoch began. */
  readonly messagesLost: number;
  readonly losses: readonly Loss[];
}

/** @throws Failure `data_dir_in_use`, `disk_full`, `data_dir_mismatch` */
export function salvage(options: SalvageOptions): SalvageReport {
  const { path } = options;
  finishSalvage(path);
  const wal = readWal(path);
  if (wal?.isDoubtful) mendWal(path, wal);
  const frames = wal?.frames ?? [];
  const old = DamagedDatabase.open(path);
  const raw = new RawBlocks(path, frames);
  try {
    makeRoom(path);
    const report = build(options, old, raw);
    commit(path);
    return report;
  } finally {
    raw.close();
    old?.close();
    finishSalvage(path);
  }
}

/** Ends a salvage that was killed behind its commit point. */
export function finishSalvage(path: string): void {
  if (!existsSync(readyPathOf(path))) return;
  const folder = new SetAsideFolder(path);
  const stamp = new Date(systemClock.nowMs()).toISOString().replace(/[-:.]/g, '').toLowerCase();
  // The old database had come farther than the new one may have: its mark would speak against it.
  rmSync(markPathOf(path), { force: true });
  for (const suffix of ['', '-wal'])
    if (existsSync(`${path}${suffix}`)) folder.takeFile(`${path}${suffix}`, `edge-${stamp}.sqlite${suffix}`);
  syncFolder(path);
  renameSync(readyPathOf(path), path);
  syncFolder(path);
}

function build(options: SalvageOptions, old: DamagedDatabase | undefined, raw: RawBlocks): SalvageReport {
  const { path, agent, newEpoch, why } = options;
  const mark = readMark(markPathOf(path));
  const start = planStart(readSealed(old), mark?.agent === agent ? mark : undefined);
  const epoch = start.epoch ?? laterThan(newEpoch, epochOf(old) ?? mark?.epoch);
  const buildPath = `${path}.salvage`;
  for (const suffix of ['', '-wal']) rmSync(`${buildPath}${suffix}`, { force: true });
  const fresh = new SalvagedDatabase(openLogDatabase(buildPath, agent, epoch));
  try {
    const isNewEpoch = start.epoch === undefined;
    const oldGaps = old?.readTable('gaps', 'first_seq');
    const gaps = (oldGaps?.rows ?? [])
      .map(rangeOf)
      .filter(({ firstSeq, endSeq }) => firstSeq < endSeq && endSeq <= start.endSeq);
    const blocks = fresh.addBlocks(readable(old, raw, start, gaps));
    const whenMs = systemClock.nowMs();
    const unsure = isNewEpoch ? '; at most so many, some may be in the store' : '';
    const reason = `the edge database was damaged, and these could not be read${unsure} (${why})`;
    const endSeq = Math.max(start.endSeq, blocks.at(-1)?.endSeq ?? 1);
    const nextSeq = start.keepSeq === undefined ? (blocks[0]?.firstSeq ?? endSeq) : start.nextSeq;
    const waiting = [...start.backlog, { firstSeq: nextSeq, endSeq }];
    const missing = planLosses(waiting, blocks, gaps, { whenMs, reason });
    const isLedgerRead = fresh.addLedger(old, isNewEpoch);
    const isLedgerWhole = isLedgerRead && oldGaps?.isWhole === true && !start.mayBeOlder;
    const isReductionWhole = fresh.addReductions(old);
    const losses = [
      ...missing.losses,
      ...notes({ whenMs, nextSeq, endSeq, isNewEpoch, isLedgerWhole, isReductionWhole, why }),
    ];
    fresh.addLosses(losses);
    fresh.setPosition({ nextSeq, endSeq, gaps: [...gaps, ...missing.ranges] });
    fresh.addBoots(old);
    if (!isNewEpoch) fresh.addShipments(old);
    fresh.finish();
    const messagesLost = losses.reduce((sum, { count }) => sum + count, 0);
    return { why, epoch, isNewEpoch, blocks: blocks.length, messagesLost, losses };
  } finally {
    fresh.close();
  }
}

interface Notes {
  readonly whenMs: number;
  readonly nextSeq: number;
  readonly endSeq: number;
  readonly isNewEpoch: boolean;
  readonly isLedgerWhole: boolean;
  readonly isReductionWhole: boolean;
  readonly why: string;
}

/** Rows of the ledger without a count: what a sum over it must know. */
function notes({ whenMs, nextSeq, endSeq, why, ...facts }: Notes): Loss[] {
  const note = (reason: string): Loss => ({
    ...{ whenMs, kind: 'set_aside', stream: null, firstSeq: nextSeq, lastSeq: Math.max(nextSeq, endSeq - 1) },
    ...{ firstMs: null, lastMs: null, count: 0, bytes: 0, reason: `${reason} (${why})` },
  });
  return [
    ...(facts.isNewEpoch ? [note('a new epoch has begun: these messages may be shipped a second time')] : []),
    ...(facts.isLedgerWhole
      ? []
      : [
          note(
            'rows of the loss ledger or dead letters could not be read: what they counted is missing here, or counted twice',
          ),
        ]),
    ...(facts.isReductionWhole
      ? []
      : [
          note(
            'what reducing held back, if anything, could not be read, and is lost: at most a row of each series',
          ),
        ]),
  ];
}

/** Blocks in order, each message once; those in front of the position only as far as they are still of use. */
function* readable(
  old: DamagedDatabase | undefined,
  raw: RawBlocks,
  { keepSeq }: SalvageStart,
  gaps: readonly SeqRange[],
): Generator<PackedRow> {
  const readRow = old?.rowReader(
    'SELECT first_seq AS firstSeq, message_count AS messageCount, source, bytes FROM blocks WHERE first_seq = ?',
  );
  let endSeq = 0;
  for (const firstSeq of raw.firstSeqs()) {
    if (firstSeq < endSeq) continue;
    const row = pickRow(firstSeq, readRow?.(firstSeq), raw, keepSeq, gaps);
    if (!row) continue;
    endSeq = firstSeq + row.messageCount;
    yield row;
  }
}

/** What the tree says comes first. What only the bare pages have may be long deleted: not where the store may lack it. */
function pickRow(
  firstSeq: number,
  found: unknown,
  raw: RawBlocks,
  keepSeq: number | undefined,
  gaps: readonly SeqRange[],
): PackedRow | undefined {
  const row = found === 'unreadable' ? undefined : (found as PackedRow | undefined);
  if (row && isWhole(row)) return row;
  for (const candidate of raw.rows(firstSeq)) {
    if (!isWhole(candidate)) continue;
    const endSeq = firstSeq + candidate.messageCount;
    const isGap = gaps.some((gap) => gap.firstSeq <= firstSeq && gap.endSeq >= endSeq);
    if (!isGap && (keepSeq === undefined || endSeq > keepSeq)) return candidate;
  }
  return undefined;
}

function isWhole(row: PackedRow): boolean {
  return (
    Number.isSafeInteger(row.messageCount) &&
    row.messageCount > 0 &&
    typeof row.source === 'string' &&
    row.bytes instanceof Uint8Array &&
    whyUnreadable(row) === undefined
  );
}

function readSealed(old: DamagedDatabase | undefined): SealedState | undefined {
  if (!old?.isSealed()) return undefined;
  const [position] = old.readSmall('position') ?? [];
  const outbox = old.readSmall('outbox');
  const lanes = old.readSmall('lanes');
  const backlog = old.readSmall('backlog')?.map(rangeOf);
  const epoch = epochOf(old);
  if (!position || !outbox || !lanes || !backlog || epoch === undefined) return undefined;
  const nextSeq = Number(position['next_seq']);
  return {
    epoch,
    nextSeq,
    backlog: backlog.toSorted((a, b) => a.firstSeq - b.firstSeq),
    keepSeq: Math.min(
      nextSeq,
      ...outbox.map((row) => Number(row['first_log_seq'])),
      ...backlog.map(({ firstSeq }) => firstSeq),
    ),
    endSeq: Number(position['end_seq']),
    shipments: lanes.reduce((sum, row) => sum + Number(row['next_seq']), 0),
  };
}

function rangeOf(row: Row): SeqRange {
  return { firstSeq: Number(row['first_seq']), endSeq: Number(row['end_seq']) };
}

function epochOf(old: DamagedDatabase | undefined): string | undefined {
  const epoch = old?.readSmall('meta')?.find(({ key }) => key === 'epoch')?.['value'];
  return typeof epoch === 'string' && epochPattern.test(epoch) ? epoch : undefined;
}

const epochPattern = /^\d{8}t\d{6}z-[0-9a-z]+$/;

/** Later lives sort after earlier ones, also where the clock has gone back. */
function laterThan(newEpoch: string, oldEpoch: string | undefined): string {
  if (oldEpoch === undefined || newEpoch > oldEpoch) return newEpoch;
  const [birth = '', random = ''] = oldEpoch.split('-');
  return `${birth}-${random}x`;
}

function commit(path: string): void {
  const file = openSync(`${path}.salvage`, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.salvage`, readyPathOf(path));
  syncFolder(path);
}

function readyPathOf(path: string): string {
  return `${path}.ready`;
}

function makeRoom(path: string): void {
  const { bavail, bsize } = statfsSync(dirname(path));
  const neededBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (bavail * bsize > 2 * neededBytes) return;
  new SetAsideFolder(path).clear();
  rmSync(join(dirname(path), 'reserve'), { force: true });
}

function syncFolder(path: string): void {
  const file = openSync(dirname(path), 'r');
  try {
    fsyncSync(file);
  } catch {
    // Some network file systems cannot; they make names durable by themselves.
  } finally {
    closeSync(file);
  }
}
