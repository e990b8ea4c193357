/**
 * The outbox: finished shipments that the store has not confirmed, as files in `data_dir/outbox` and rows of the log.
 *
 * A file is written before its row, and deleted after it: a file without a row is what a crash left, and is removed at the
 * start. A row whose file is gone or has another size is what a bad disk left: `remakeShipment` makes it again. Bounded: while it is full no window closes, and messages wait in the log, which is where the room is.
 */
import { join } from 'node:path';
import type { EdgeLog, OutboxEntry, StagedShipment } from '../log/edge-log.js';
import type { Loss } from '../log/loss.js';
import { outboxFiles, type OutboxFiles } from './outbox-files.js';
import { countMessages, joinRanges, liveLane, type ShippingLane } from './plan-lanes.js';

const shipmentsMax = 128;
/** Of the live lane, where it goes first. */
const liveWindowsMax = 4;

type OutboxLog = Pick<EdgeLog, 'confirm' | 'replace'>;

export class Outbox {
  readonly #directory: string;
  readonly #log: OutboxLog;
  readonly #bytesMax: number;
  readonly #files: OutboxFiles;
  #entries: readonly OutboxEntry[];

  private constructor(
    directory: string,
    log: OutboxLog,
    bytesMax: number,
    files: OutboxFiles,
    entries: readonly OutboxEntry[],
  ) {
    this.#directory = directory;
    this.#log = log;
    this.#bytesMax = bytesMax;
    this.#files = files;
    this.#entries = entries;
  }

  static async open(
    dataDir: string,
    log: OutboxLog & Pick<EdgeLog, 'opened'>,
    bytesMax: number,
    files: OutboxFiles = outboxFiles,
  ): Promise<Outbox> {
    const directory = join(dataDir, 'outbox');
    const entries = log.opened.outbox;
    const known = new Set(entries.map(({ file }) => file));
    for (const file of await files.list(directory))
      if (!known.has(file)) await files.remove(join(directory, file));
    return new Outbox(directory, log, bytesMax, files, entries);
  }

  /** In the order of staging. */
  get entries(): readonly OutboxEntry[] {
    return this.#entries;
  }

  get bytes(): number {
    return countBytes(this.#entries);
  }

  /** Messages of the log that are in shipments. */
  get messages(): number {
    return countStaged(this.#entries);
  }

  /** Whether another window of the lane may close. */
  hasRoom(lane: ShippingLane, { liveFirst }: { readonly liveFirst: boolean }): boolean {
    return planRoom(this.#entries, this.#bytesMax, lane, liveFirst);
  }

  pathOf(file: string): string {
    return join(this.#directory, file);
  }

  add(entries: readonly OutboxEntry[]): void {
    this.#entries = [...this.#entries, ...entries];
  }

  /** Removes files that never got a row. */
  async discard(shipments: readonly StagedShipment[]): Promise<void> {
    for (const { file } of shipments) await this.#files.remove(this.pathOf(file));
  }

  /** Whether the shipment's file is there, with as many bytes as it was given. */
  async hasWhole({ file, bytes }: OutboxEntry): Promise<boolean> {
    return (await this.#files.sizeOf(this.pathOf(file))) === bytes;
  }

  /** `entry` is one of `entries` with another file: takes the row over to it, then removes the old file. */
  async replace(entry: OutboxEntry, losses: readonly Loss[] = []): Promise<void> {
    const before = this.#entries.find(({ id }) => id === entry.id);
    await this.#log.replace(entry, losses);
    this.#entries = this.#entries.map((other) => (other.id === entry.id ? entry : other));
    if (before) await this.#files.remove(this.pathOf(before.file));
  }

  /** The store has it: forgets the row, then the file. */
  async confirm(entry: OutboxEntry): Promise<void> {
    await this.#log.confirm(entry.id);
    this.#entries = this.#entries.filter(({ id }) => id !== entry.id);
    await this.#files.remove(this.pathOf(entry.file));
  }
}

/**
 * The live lane keeps few windows here, so that new data is behind little when the store comes back; it has room for them
 * however much of the backlog is here.
 */
export function planRoom(
  entries: readonly OutboxEntry[],
  bytesMax: number,
  lane: ShippingLane,
  liveFirst: boolean,
): boolean {
  if (lane === liveLane && liveFirst) {
    const live = entries.filter((entry) => entry.lane === liveLane);
    return new Set(live.map(({ lastLogSeq }) => lastLogSeq)).size < liveWindowsMax;
  }
  return entries.length < shipmentsMax && countBytes(entries) < bytesMax;
}

function countBytes(entries: readonly OutboxEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.bytes, 0);
}

/** Shipments of one window are made of the same messages, and partials of older ones, too. */
function countStaged(entries: readonly OutboxEntry[]): number {
  const ranges = entries.map(({ firstLogSeq, lastLogSeq }) => ({
    firstSeq: firstLogSeq,
    endSeq: lastLogSeq + 1,
  }));
  return countMessages(joinRanges(ranges));
}

/**
 * What to upload now: the oldest shipment of each lane and table, the live lane's first, at most `uploadsMax`. The next of a lane follows
 * when this one is confirmed, so that the store never has a later one without the earlier.
 */
export function planUploads(entries: readonly OutboxEntry[], uploadsMax: number): OutboxEntry[] {
  const oldest = new Map<string, OutboxEntry>();
  const inOrder = [
    ...entries.filter(({ lane }) => lane === liveLane),
    ...entries.filter(({ lane }) => lane !== liveLane),
  ];
  for (const entry of inOrder) {
    const way = `${entry.lane}/${entry.database}/${entry.table}`;
    if (!oldest.has(way)) oldest.set(way, entry);
    if (oldest.size === uploadsMax) break;
  }
  return [...oldest.values()];
}
