/**
 * A shipment whose file is gone or not whole, made again: its number is taken, so its lane goes on only with a file.
 *
 * Blocks stay in the log until the store has what was made of them, so as a rule the same messages make the same rows
 * again. What the log has no more is counted in the file's metadata (`varve.lost_rows`); in the worst case the file is
 * empty and says just that. If an upload of the first file had landed after all, the key is taken and nothing changes.
 *
 * 1. Decode the messages of the shipment anew. 2. Write the file under a new name, durably. 3. The row takes the new file:
 * killed before it, the next attempt does the same again, and the start removes the file.
 */
import type { Logger } from '@varve/common/log.js';
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import { TableBatch, type BatchColumns } from '../batch/table-batch.js';
import type { Router } from '../decode/router.js';
import type { EdgeLog, OutboxEntry } from '../log/edge-log.js';
import type { EdgeMetrics } from '../metrics.js';
import type { Outbox } from './outbox.js';
import { readWindow } from './read-window.js';
import { writeShipment, type ShipmentWriter } from './write-shipment.js';

export interface RemakeOptions extends ShipmentWriter {
  readonly log: Pick<EdgeLog, 'opened' | 'read'>;
  readonly router: Router;
  readonly outbox: Outbox;
  readonly logger: Logger;
  readonly metrics: Pick<EdgeMetrics, 'shipmentsRemade' | 'rowsLost'>;
  /** By `database.table`. */
  readonly aggregates: ReadonlyMap<string, AggregateFacts>;
}

/** Returns the shipment with its new file, which is in the outbox. @throws Failure of the disk */
export async function remakeShipment(entry: OutboxEntry, options: RemakeOptions): Promise<OutboxEntry> {
  const { outbox, logger, metrics } = options;
  const columns = await decodeAgain(entry, options);
  const lostRows = Math.max(0, entry.rowCount - columns.rowCount);
  const aggregate = options.aggregates.get(`${entry.database}.${entry.table}`);
  const written = await writeShipment(options, entry, columns, { lostRows, aggregate });
  const remade = { ...entry, ...written };
  await outbox.replace(remade);
  metrics.shipmentsRemade.inc();
  metrics.rowsLost.inc(lostRows);
  const { lane, database, table, seq, firstLogSeq, lastLogSeq, rowCount } = remade;
  logger[lostRows > 0 ? 'error' : 'warn'](
    { lane, database, table, seq, firstLogSeq, lastLogSeq, rowCount, lostRows },
    'the file of a shipment was damaged; it is made again from the log',
  );
  return remade;
}

async function decodeAgain(
  { database, table, firstLogSeq, lastLogSeq }: OutboxEntry,
  { log, router }: RemakeOptions,
): Promise<BatchColumns> {
  const window = await readWindow(log, router, { firstSeq: firstLogSeq, endSeq: lastLogSeq + 1 });
  const open = window.batches.get(`${database}.${table}`);
  return (open?.batch ?? new TableBatch({ tags: [], declaredTypes: new Map() })).finish();
}
