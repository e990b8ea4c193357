/**
 * Retention: days that have been kept as long as `retain` says leave the table (`plan-retention.ts`), as commits of
 * metadata alone. The bytes stay for readers of older versions, until vacuum removes them.
 *
 * Lanes' positions are not touched: a shipment that comes again adds nothing. Rows that come late for a day that has gone
 * are in the table until the next round.
 */
import { Counter, type Registry } from '@varve/common/metrics.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { isFailure } from '@varve/common/errors.js';
import { formatTableName } from '../delta/table-metadata.js';
import type { Snapshot } from '../delta/snapshot.js';
import type { JobBook } from '../jobs.js';
import { planRetention, type ExpiredDays } from './plan-retention.js';
import { replaceFiles } from './replace-files.js';
import type { UpkeepContext } from './upkeep-context.js';

const everyMs = 10 * 60_000;
/** Of one commit, which is one object and one piece of work for readers. */
const filesPerCommitMax = 10_000;

export interface RetentionReport {
  readonly table: string;
  readonly retainMs: number;
  readonly keptFrom: string;
  readonly days: number;
  readonly firstDay: string | undefined;
  readonly lastDay: string | undefined;
  readonly files: number;
  readonly rows: number;
  readonly bytes: number;
}

export interface RetentionOptions {
  /** Undefined: for ever. */
  readonly retainMsOf: (name: TableName) => number | undefined;
  readonly jobs: JobBook;
  readonly registry: Registry;
}

export class Retention {
  readonly #context: UpkeepContext;
  readonly #options: RetentionOptions;
  readonly #rowsExpired: Counter;
  #last: { readonly atMs: number; readonly tables: readonly RetentionReport[] } | undefined;

  constructor(context: UpkeepContext, options: RetentionOptions) {
    this.#context = context;
    this.#options = options;
    this.#rowsExpired = new Counter({
      name: 'varve_tsdb_expired_rows_total',
      help: 'Rows of days that have left their tables because of retain',
      registers: [options.registry],
    });
  }

  /** A round at once, then one every ten minutes, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.runOnce({ isDryRun: false }, signal);
      await this.#context.clock.sleep(everyMs, signal);
    }
  }

  /** Of the tables that keep rows for a limited time. One that fails is logged and comes again in the next round. */
  async runOnce({ isDryRun }: { isDryRun: boolean }, signal?: AbortSignal): Promise<RetentionReport[]> {
    const { catalog, clock, log } = this.#context;
    const reports: RetentionReport[] = [];
    for (const table of catalog.current()) {
      const retainMs = this.#options.retainMsOf(table.name);
      if (retainMs === undefined || signal?.aborted) continue;
      const expired = planRetention(table.files.values(), retainMs, clock.nowMs());
      reports.push(toReport(table, retainMs, expired));
      if (isDryRun || expired.files.length === 0) continue;
      try {
        await this.#drop(table, expired);
      } catch (error) {
        if (!isFailure(error)) throw error;
        log.warn({ table: formatTableName(table.name), err: error }, 'old days could not be dropped; later');
      }
    }
    if (!isDryRun) this.#last = { atMs: clock.nowMs(), tables: reports };
    return reports;
  }

  async #drop({ name }: Snapshot, { files, days, keptFrom }: ExpiredDays): Promise<void> {
    const facts = { kind: 'retention', table: formatTableName(name), task: { keptFrom } } as const;
    await this.#options.jobs.run(facts, async (job) => {
      let [filesDropped, rows] = [0, 0];
      while (filesDropped < files.length) {
        const removed = files.slice(filesDropped, filesDropped + filesPerCommitMax);
        const version = await replaceFiles(this.#context, name, {
          removed,
          added: [],
          dataChange: true,
          summary: {
            operation: 'DELETE',
            operationParameters: { predicate: JSON.stringify([`day < '${keptFrom}'`]) },
            operationMetrics: { numRemovedFiles: String(removed.length), numAddedFiles: '0' },
            isBlindAppend: false,
          },
        });
        // One of them was replaced meanwhile; the next round sees by what.
        if (version === undefined) break;
        filesDropped += removed.length;
        rows += removed.reduce((sum, { rowCount }) => sum + rowCount, 0);
        job.progress(filesDropped, files.length);
      }
      this.#rowsExpired.inc(Number.isNaN(rows) ? 0 : rows);
      this.#context.log.info(
        { table: formatTableName(name), from: days[0], before: keptFrom, files: filesDropped, rows },
        'days older than retain have left the table',
      );
      return { files: filesDropped, rows, firstDay: days[0], lastDay: days.at(-1) };
    });
  }

  status() {
    return { everyMs, lastRoundAtMs: this.#last?.atMs, tables: this.#last?.tables ?? [] };
  }
}

function toReport(
  { name }: Snapshot,
  retainMs: number,
  { keptFrom, days, files, rowCount, bytes }: ExpiredDays,
): RetentionReport {
  const range = { days: days.length, firstDay: days[0], lastDay: days.at(-1) };
  return {
    table: formatTableName(name),
    retainMs,
    keptFrom,
    ...range,
    files: files.length,
    rows: rowCount,
    bytes,
  };
}
