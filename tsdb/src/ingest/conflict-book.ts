/**
 * How often values did not fit their columns, by agent: what `/api/v1/tables/{table}/conflicts` adds to what the table itself
 * says of its side columns.
 *
 * That there is a conflict, since when, and from whom at first is in the table, in the metadata of the side column. The counts
 * by agent are kept in `<data_dir>/conflicts.json` and begin anew when that is gone; `countedSinceMs` says when they began. A
 * kill may lose those of the last `saveEveryMs`. At most `entriesMax` counts are kept; the others are only in the table.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '@varve/common/clock.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import { formatTableName } from '../delta/table-metadata.js';
import type { ConflictCount } from './count-conflicts.js';

const saveEveryMs = 10_000;
const entriesMax = 10_000;

const entrySchema = z.object({
  table: z.string(),
  side: z.string(),
  agent: z.string(),
  values: z.number(),
  firstMs: z.number(),
  lastMs: z.number(),
});
const bookSchema = z.object({ countedSinceMs: z.number(), entries: z.array(entrySchema).max(entriesMax) });

export type ConflictEntry = Readonly<z.infer<typeof entrySchema>>;

export interface TableConflicts {
  readonly countedSinceMs: number;
  readonly entries: readonly ConflictEntry[];
}

export interface ConflictBookOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export class ConflictBook {
  readonly #options: ConflictBookOptions;
  readonly #path: string;
  readonly #entries: Map<string, ConflictEntry>;
  readonly #countedSinceMs: number;
  #isChanged = false;
  #savedAtMs = 0;

  private constructor(options: ConflictBookOptions, { countedSinceMs, entries }: z.infer<typeof bookSchema>) {
    this.#options = options;
    this.#path = pathOf(options.dataDir);
    this.#countedSinceMs = countedSinceMs;
    this.#entries = new Map(entries.map((entry) => [keyOf(entry), entry]));
  }

  static async open(options: ConflictBookOptions): Promise<ConflictBook> {
    return new ConflictBook(options, await load(options));
  }

  /** After the commit that has the values. */
  add(name: TableName, counts: readonly ConflictCount[]): void {
    const nowMs = this.#options.clock.nowMs();
    for (const { side, agent, values } of counts) {
      const fresh = { table: formatTableName(name), side, agent, values: 0, firstMs: nowMs, lastMs: nowMs };
      const known = this.#entries.get(keyOf(fresh));
      if (!known && this.#entries.size >= entriesMax) continue;
      this.#entries.set(keyOf(fresh), {
        ...(known ?? fresh),
        values: (known?.values ?? 0) + values,
        lastMs: nowMs,
      });
      this.#isChanged = true;
    }
  }

  of(name: TableName): TableConflicts {
    const table = formatTableName(name);
    const entries = [...this.#entries.values()].filter((entry) => entry.table === table);
    return { countedSinceMs: this.#countedSinceMs, entries };
  }

  async save(isFinal = false): Promise<void> {
    const { clock, log } = this.#options;
    if (!this.#isChanged || !(isFinal || clock.nowMs() - this.#savedAtMs >= saveEveryMs)) return;
    this.#isChanged = false;
    this.#savedAtMs = clock.nowMs();
    const book = { countedSinceMs: this.#countedSinceMs, entries: [...this.#entries.values()] };
    try {
      await mkdir(dirname(this.#path), { recursive: true });
      await writeFile(`${this.#path}.new`, JSON.stringify(book));
      await rename(`${this.#path}.new`, this.#path);
    } catch (error) {
      this.#isChanged = true;
      log.warn({ reason: messageOf(error) }, 'the counts of conflicts could not be written to data_dir');
    }
  }
}

async function load({ dataDir, clock }: ConflictBookOptions): Promise<z.infer<typeof bookSchema>> {
  try {
    return bookSchema.parse(JSON.parse(await readFile(pathOf(dataDir), 'utf8')));
  } catch {
    // Not there, or cut off: a hint that begins anew, and says so.
    return { countedSinceMs: clock.nowMs(), entries: [] };
  }
}

function pathOf(dataDir: string): string {
  return join(dataDir, 'conflicts.json');
}

function keyOf({ table, side, agent }: Pick<ConflictEntry, 'table' | 'side' | 'agent'>): string {
  return `${table} ${side} ${agent}`;
}
