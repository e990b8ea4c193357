/**
 * The outbox: finished shipments that the store has not confirmed, as files in `data_dir/outbox` and rows of the log.
 *
 * A file is written before its row, and deleted after it: a file without a row is what a crash left, and is removed at the
 * start. A row whose file is gone or has another size is what a bad disk left: `remakeShipment` makes it again. Bounded: while it is full no window closes, and messages wait in the log, which is where the room is.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCodeOf } from '@varve/common/errors.js';
import { fileFailure } from '@varve/common/store/file-failure.js';
import type { EdgeLog, OutboxEntry, StagedShipment } from '../log/edge-log.js';
import type { Loss } from '../log/loss.js';

const shipmentsMax = 128;

type OutboxLog = Pick<EdgeLog, 'confirm' | 'replace'>;

export class Outbox {
  readonly #directory: string;
  readonly #log: OutboxLog;
  readonly #bytesMax: number;
  #entries: readonly OutboxEntry[];

  private constructor(directory: string, log: OutboxLog, bytesMax: number, entries: readonly OutboxEntry[]) {
    this.#directory = directory;
    this.#log = log;
    this.#bytesMax = bytesMax;
    this.#entries = entries;
  }

  static async open(
    dataDir: string,
    log: OutboxLog & Pick<EdgeLog, 'opened'>,
    bytesMax: number,
  ): Promise<Outbox> {
    const directory = join(dataDir, 'outbox');
    await mkdir(directory, { recursive: true });
    const entries = log.opened.outbox;
    const known = new Set(entries.map(({ file }) => file));
    for (const file of await readdir(directory)) if (!known.has(file)) await rm(join(directory, file));
    return new Outbox(directory, log, bytesMax, entries);
  }

  /** In the order of staging. */
  get entries(): readonly OutboxEntry[] {
    return this.#entries;
  }

  get isFull(): boolean {
    return this.#entries.length >= shipmentsMax || this.bytes >= this.#bytesMax;
  }

  get bytes(): number {
    return this.#entries.reduce((sum, entry) => sum + entry.bytes, 0);
  }

  pathOf(file: string): string {
    return join(this.#directory, file);
  }

  add(entries: readonly OutboxEntry[]): void {
    this.#entries = [...this.#entries, ...entries];
  }

  /** Removes files that never got a row. */
  async discard(shipments: readonly StagedShipment[]): Promise<void> {
    for (const { file } of shipments) await rm(this.pathOf(file), { force: true });
  }

  /** Whether the shipment's file is there, with as many bytes as it was given. */
  async hasWhole({ file, bytes }: OutboxEntry): Promise<boolean> {
    try {
      return (await stat(this.pathOf(file))).size === bytes;
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return false;
      throw fileFailure(error, `look at ${this.pathOf(file)}`);
    }
  }

  /** `entry` is one of `entries` with another file: takes the row over to it, then removes the old file. */
  async replace(entry: OutboxEntry, losses: readonly Loss[] = []): Promise<void> {
    const before = this.#entries.find(({ id }) => id === entry.id);
    await this.#log.replace(entry, losses);
    this.#entries = this.#entries.map((other) => (other.id === entry.id ? entry : other));
    if (before) await rm(this.pathOf(before.file), { force: true });
  }

  /** The store has it: forgets the row, then the file. */
  async confirm(entry: OutboxEntry): Promise<void> {
    await this.#log.confirm(entry.id);
    this.#entries = this.#entries.filter(({ id }) => id !== entry.id);
    await rm(this.pathOf(entry.file), { force: true });
  }
}

/**
 * What to upload now: the oldest shipment of each lane and table, at most `uploadsMax` of them. The next of a lane follows
 * when this one is confirmed, so that the store never has a later one without the earlier.
 */
export function planUploads(entries: readonly OutboxEntry[], uploadsMax: number): OutboxEntry[] {
  const oldest = new Map<string, OutboxEntry>();
  for (const entry of entries) {
    const way = `${entry.lane}/${entry.database}/${entry.table}`;
    if (!oldest.has(way)) oldest.set(way, entry);
    if (oldest.size === uploadsMax) break;
  }
  return [...oldest.values()];
}
