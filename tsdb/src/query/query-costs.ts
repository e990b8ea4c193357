/** What a query will read: to choose its lane, and for whoever asks for the price (`dry_run`). */
import type { DataFiles } from '../delta/data-files.js';
import { countRows } from './counted-rows.js';
import { tableLabel } from './find-table.js';
import { laneOf, quickBytesMax, type Lane } from './query-lanes.js';
import type { PlannedTable, QueryPlan } from './query-plan.js';
import { untilAborted } from './query-signal.js';

/** What two cores read of compressed Parquet: all columns, so that most queries take less. */
const bytesPerMs = 100_000;
const [startMs, fileMs] = [3, 0.2];

export class QueryCosts {
  readonly #dataFiles: DataFiles;
  /** By the tables of a plan, which are the same object where the plan is. */
  readonly #bytesRead = new WeakMap<readonly PlannedTable[], number>();

  constructor(dataFiles: DataFiles) {
    this.#dataFiles = dataFiles;
  }

  /** May look at footers of files. */
  async estimate(plan: QueryPlan): Promise<object> {
    const isCounted = countRows(plan) !== undefined;
    const tables = isCounted ? plan.tables.map((table) => ({ ...table, files: [] })) : plan.tables;
    const reads = await Promise.all(
      tables.map(({ files, wanted }) => this.#dataFiles.estimate(files, wanted)),
    );
    const bytes = reads.reduce((sum, read) => sum + read.bytes, 0);
    const files = tables.flatMap((table) => table.files);
    return {
      query_id: plan.queryId,
      dry_run: true,
      lane: laneOf(plan.request, bytes),
      files: files.length,
      bytes,
      store_requests: reads.reduce((sum, { storeRequests }) => sum + storeRequests, 0),
      store_bytes: reads.reduce((sum, { storeBytes }) => sum + storeBytes, 0),
      rows: files.reduce((rows, { rowCount }) => rows + rowCount, 0),
      estimated_ms: Math.round(startMs + files.length * fileMs + bytes / bytesPerMs),
      tables: tables.map(({ snapshot, files }, index) => ({
        table: tableLabel(snapshot),
        version: snapshot.version,
        files: files.length,
        files_total: snapshot.files.size,
        bytes: reads[index]?.bytes ?? 0,
      })),
    };
  }

  /**
   * By what is read of large files, where that can make a difference; once for a question that comes again.
   * @throws the reason of `signal`
   */
  async laneOf({ tables, request, bytes }: QueryPlan, signal: AbortSignal): Promise<Lane> {
    if (laneOf(request, bytes) === 'quick' || laneOf(request, 0) === 'slow') return laneOf(request, bytes);
    let read = this.#bytesRead.get(tables);
    if (read === undefined) {
      read = await untilAborted(this.#readOf(tables), signal, () => undefined);
      this.#bytesRead.set(tables, read);
    }
    return laneOf(request, read);
  }

  /** Up to what makes a query slow. */
  async #readOf(tables: readonly PlannedTable[]): Promise<number> {
    let bytes = 0;
    for (const { files, wanted } of tables)
      bytes += (await this.#dataFiles.estimate(files, wanted, quickBytesMax - bytes)).bytes;
    return bytes;
  }
}
