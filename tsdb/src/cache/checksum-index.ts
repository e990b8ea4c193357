/**
 * What the copies in the cache's folder must be: size and CRC-32 of each, as lines of one file beside them.
 *
 *     <folder>/checksums.jsonl      {"name":"tables/main/…/part-….parquet","bytes":81234,"crc32":"1c291ca3"}
 *
 * 1. A line is appended when a copy has arrived; the last one of a name counts. Nothing is fsynced: a line that a crash
 *    loses costs one more download, and so does a damaged one.
 * 2. Lines of copies that went stay until the file is written anew, at a start or when most of it is such lines.
 */
import { appendFile, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { systemCodeOf } from '@varve/common/errors.js';
import { replaceFile } from '@varve/common/store/durable-file.js';

export const indexName = 'checksums.jsonl';

const entrySchema = z.object({ name: z.string(), bytes: z.number(), crc32: z.string() });
export type IndexEntry = z.infer<typeof entrySchema>;

/** Below this many lines nothing is gained by writing them anew. */
const linesMin = 10_000;
const blockBytes = 1 << 20;

export class ChecksumIndex {
  readonly #path: string;
  #lines = 0;
  /** Writes follow one another. */
  #last: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.#path = join(folder, indexName);
  }

  /** By name. Lines that are none are left out. */
  async read(): Promise<Map<string, IndexEntry>> {
    let text = '';
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
    }
    const lines = text.split('\n');
    // What is appended to a torn line is lost with it: more lines than there can be, so that they are written anew.
    this.#lines = lines.at(-1) === '' ? lines.length - 1 : Number.POSITIVE_INFINITY;
    return new Map(lines.flatMap(parseLine).map((entry) => [entry.name, entry]));
  }

  /** @param live asked for when the file is written anew: all that there is, `entry` included */
  async add(entry: IndexEntry, live: () => readonly IndexEntry[]): Promise<void> {
    await this.#inTurn(async () => {
      this.#lines += 1;
      await appendFile(this.#path, `${JSON.stringify(entry)}\n`);
      if (this.#lines <= linesMin) return;
      const entries = live();
      if (this.#lines > linesMin + 2 * entries.length) await this.#replace(entries);
    });
  }

  async rewrite(entries: readonly IndexEntry[]): Promise<void> {
    if (this.#lines === entries.length) return;
    await this.#inTurn(() => this.#replace(entries));
  }

  async #replace(entries: readonly IndexEntry[]): Promise<void> {
    const text = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    await replaceFile(this.#path, (partPath) => writeFile(partPath, text));
    this.#lines = entries.length;
  }

  async #inTurn(write: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(write);
    this.#last = turn.catch(() => undefined);
    await turn;
  }
}

function parseLine(line: string): IndexEntry[] {
  try {
    return [entrySchema.parse(JSON.parse(line))];
  } catch {
    return [];
  }
}

/** Reads the whole file, a block at a time: some 0.3 s a gigabyte besides the disk. */
export async function checksumOf(path: string): Promise<string> {
  const file = await open(path);
  try {
    const block = new Uint8Array(blockBytes);
    let sum = 0;
    for (;;) {
      const { bytesRead } = await file.read(block, 0, block.length, null);
      if (bytesRead === 0) return sum.toString(16);
      sum = crc32(block.subarray(0, bytesRead), sum);
    }
  } finally {
    await file.close();
  }
}
