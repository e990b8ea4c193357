/**
 * The folder of the outbox: names and contents, each durable only once it was forced to the disk. In a power cut a file that was
 * not synced is whole, half or empty, and a name that was not synced is as it was before or as it is.
 */
import { Failure } from '@varve/common/errors.js';
import type { ShipmentMetadata } from '@varve/common/contract/shipment.js';
import type { BatchColumns } from '@varve/edge-agent/batch/table-batch.js';
import type { OutboxFiles } from '@varve/edge-agent/ship/outbox-files.js';
import type { Effects } from './effects.js';
import { readRows, type Row } from './shipped-rows.js';

export interface ShipmentFile {
  readonly metadata: ShipmentMetadata;
  readonly rows: readonly Row[];
  readonly size: number;
}

interface File {
  readonly content: ShipmentFile;
  /** Of `content.size`; less where it is half written. */
  size: number;
  isSynced: boolean;
}

export class FakeDisk {
  readonly #effects: Effects;
  readonly #isFull: () => boolean;
  #names = new Map<string, File>();
  /** As it was when the folder was last synced. */
  #durable = new Map<string, File>();

  /** `isFull` is asked before every write. */
  constructor(effects: Effects, isFull: () => boolean) {
    this.#effects = effects;
    this.#isFull = isFull;
  }

  get fileCount(): number {
    return this.#names.size;
  }

  readonly files: OutboxFiles = {
    list: () =>
      this.#ask('the outbox is listed', () =>
        [...this.#names.keys()].map((path) => path.slice(path.lastIndexOf('/') + 1)),
      ),
    sizeOf: (path) => this.#ask(`${shown(path)} is looked at`, () => this.#names.get(path)?.size),
    remove: (path) => this.#ask(`${shown(path)} is removed`, () => void this.#names.delete(path)),
  };

  /** As `ParquetEncoder.encode`, with the steps of `replaceFile` in `common/store/durable-file.ts`. */
  async encode(columns: BatchColumns, metadata: ShipmentMetadata, path: string): Promise<number> {
    const rows = readRows(columns);
    const content = { metadata, rows, size: 100 + 10 * rows.length };
    const part = `${path}.part`;
    const { lane, table, seq } = metadata;
    try {
      const file = await this.#ask(`${lane} ${table} ${seq} (${rows.length} rows) is half written`, () => {
        if (this.#isFull()) throw new Failure('disk_full', 'planted: no room for a file');
        const begun = { content, size: content.size >> 1, isSynced: false };
        this.#names.set(part, begun);
        return begun;
      });
      await this.#ask(`${lane} ${table} ${seq} is synced`, () => {
        file.size = content.size;
        file.isSynced = true;
      });
      await this.#ask(`${lane} ${table} ${seq} is named ${shown(path)}`, () => {
        this.#names.delete(part);
        this.#names.set(path, file);
      });
    } catch (error) {
      await this.files.remove(part);
      throw error;
    }
    await this.#ask('the folder is synced', () => void (this.#durable = new Map(this.#names)));
    return content.size;
  }

  /** What an upload of this file reads; undefined where it is not there. */
  read(path: string): ShipmentFile | undefined {
    const file = this.#names.get(path);
    return file?.size === file?.content.size ? file?.content : undefined;
  }

  cutPower(random: () => number): void {
    const left = new Map<string, File>();
    for (const path of new Set([...this.#names.keys(), ...this.#durable.keys()])) {
      const file = (random() < 0.5 ? this.#names : this.#durable).get(path);
      if (!file) continue;
      if (!file.isSynced) file.size = Math.floor((random() * 3 * file.content.size) / 2);
      left.set(path, file);
    }
    this.#names = left;
    this.#durable = new Map(left);
  }

  /** A bad card: one file is cut short, or gone. */
  damage(random: () => number): void {
    const paths = [...this.#names.keys()];
    const path = paths[Math.floor(random() * paths.length)];
    const file = path === undefined ? undefined : this.#names.get(path);
    if (path === undefined || !file) return;
    this.#effects.note(`${shown(path)} is damaged`);
    if (random() < 0.5) this.#names.delete(path);
    else file.size >>= 1;
    this.#durable = new Map(this.#names);
  }

  #ask<T>(what: string, work: () => T): Promise<T> {
    return this.#effects.ask(what, work);
  }
}

/** Enough of a name to follow it. Names are random; they decide nothing. */
function shown(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).slice(0, 6);
}
