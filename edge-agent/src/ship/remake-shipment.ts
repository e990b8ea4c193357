/**
 * A shipment whose file is gone or not whole, made again: its number is taken, so its lane goes on only with a file.
 *
 * Blocks stay in the log until the store has what was made of them, so as a rule the same messages make the same rows
 * again: what was learned of the clock since then is left out (`clockBoot`). What the log has no more is counted in the file's metadata (`varve.lost_rows`) and in the ledger; in the worst case
 * the file is empty and says just that. A shipment of ledger rows is made of those rows. If an upload of the first file had landed after all, the key is taken and nothing changes.
 *
 * 1. Decode the messages of the shipment anew, or read the rows of the ledger that it holds. 2. Write the file under a new name, durably. 3. The row takes the new file:
 * killed before it, the next attempt does the same again, and the start removes the file.
 */
import type { Clock } from '@varve/common/clock.js';
import type { Logger } from '@varve/common/log.js';
import { remakePartials } from '../aggregate/aggregation.js';
import type { StreamConfig } from '../config.js';
import { TableBatch, type BatchColumns } from '../batch/table-batch.js';
import type { Router } from '../decode/router.js';
import type { EdgeLog, OutboxEntry } from '../log/edge-log.js';
import type { Loss } from '../log/loss.js';
import type { EdgeMetrics } from '../metrics.js';
import { cookRecipe } from '../reduce/reduce-recipe.js';
import { lossesBatch, lossesDestination } from './losses-batch.js';
import type { Outbox } from './outbox.js';
import { readWindow } from './read-window.js';
import { writeShipment, type ShipmentWriter } from './write-shipment.js';

export interface RemakeOptions extends ShipmentWriter {
  readonly log: Pick<EdgeLog, 'opened' | 'read' | 'shippedLosses'>;
  readonly clock: Clock;
  /** There are new rows in the ledger. */
  readonly onLosses: () => void;
  readonly router: Router;
  readonly outbox: Outbox;
  readonly logger: Logger;
  readonly metrics: Pick<EdgeMetrics, 'shipmentsRemade' | 'rowsLost' | 'losses'>;
  readonly streams: readonly StreamConfig[];
}

/** Returns the shipment with its new file, which is in the outbox. @throws Failure of the disk */
export async function remakeShipment(entry: OutboxEntry, options: RemakeOptions): Promise<OutboxEntry> {
  const { outbox, logger, metrics, clock, onLosses } = options;
  const { log, router, streams } = options;
  const partials = await remakePartials(entry, streams, log, router);
  const { columns, lostRows } = partials
    ? countLost(entry, partials.columns)
    : await rowsAgain(entry, options);
  const written = await writeShipment(options, entry, columns, { lostRows, aggregate: partials?.facts });
  const remade = { ...entry, ...written };
  const losses = lostRows > 0 ? [lossOf(entry, lostRows, clock.nowMs())] : [];
  try {
    await outbox.replace(remade, losses);
  } catch (error) {
    // It is tried again with another file: they would fill a full disk.
    await outbox.discard([remade]);
    throw error;
  }
  if (losses.length > 0) onLosses();
  metrics.losses.inc({ kind: 'set_aside' }, lostRows);
  metrics.shipmentsRemade.inc();
  metrics.rowsLost.inc(lostRows);
  const { lane, database, table, seq, firstLogSeq, lastLogSeq, rowCount } = remade;
  logger[lostRows > 0 ? 'error' : 'warn'](
    { lane, database, table, seq, firstLogSeq, lastLogSeq, rowCount, lostRows },
    'the file of a shipment was damaged; it is made again from the log',
  );
  return remade;
}

interface RowsAgain {
  readonly columns: BatchColumns;
  readonly lostRows: number;
}

function countLost({ rowCount }: OutboxEntry, columns: BatchColumns): RowsAgain {
  return { columns, lostRows: Math.max(0, rowCount - columns.rowCount) };
}

async function rowsAgain(entry: OutboxEntry, options: RemakeOptions): Promise<RowsAgain> {
  const rows = (await batchAgain(entry, options)).finish();
  const { recipe } = entry;
  if (!recipe || 'part' in recipe) return countLost(entry, rows);
  const { columns, missingRows } = cookRecipe(recipe, rows);
  // At most: which of the rows that are gone were in the shipment is not known.
  return { columns, lostRows: Math.min(missingRows, entry.rowCount) };
}

async function batchAgain(entry: OutboxEntry, options: RemakeOptions): Promise<TableBatch> {
  const { database, table } = lossesDestination;
  if (entry.database !== database || entry.table !== table) return await decodeAgain(entry, options);
  return lossesBatch(options.agent, await options.log.shippedLosses(entry.id));
}

/** Rows are counted, since they are what is known. */
function lossOf({ table, firstLogSeq, lastLogSeq, seq }: OutboxEntry, count: number, whenMs: number): Loss {
  return {
    ...{ whenMs, kind: 'set_aside', stream: table, firstSeq: firstLogSeq, lastSeq: lastLogSeq },
    ...{ firstMs: null, lastMs: null, count, bytes: 0 },
    reason: `the file of shipment ${seq} was damaged, and the log had these rows of it no more`,
  };
}

async function decodeAgain(
  { database, table, firstLogSeq, lastLogSeq, clockBoot }: OutboxEntry,
  { log, router }: RemakeOptions,
): Promise<TableBatch> {
  const range = { firstSeq: firstLogSeq, endSeq: lastLogSeq + 1 };
  const window = await readWindow(log, router, range, clockBoot);
  const open = window.batches.get(`${database}.${table}`);
  return open?.batch ?? new TableBatch({ tags: [], declaredTypes: new Map() });
}
