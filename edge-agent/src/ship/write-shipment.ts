/** One batch to one durable file of the outbox. */
import { randomUUID } from 'node:crypto';
import type { AggregateFacts } from '@varve/common/contract/aggregate.js';
import type { BatchColumns } from '../batch/table-batch.js';
import type { ParquetEncoder } from '../encode/parquet-encoder.js';
import type { EdgeLog, StagedShipment } from '../log/edge-log.js';
import type { Outbox } from './outbox.js';

export interface ShipmentWriter {
  readonly agent: string;
  readonly log: Pick<EdgeLog, 'opened'>;
  readonly encoder: Pick<ParquetEncoder, 'encode'>;
  readonly outbox: Pick<Outbox, 'pathOf'>;
}

/** Where a shipment belongs, and which messages it is made of. */
export type ShipmentPlace = Omit<StagedShipment, 'file' | 'rowCount' | 'bytes' | 'stagedMs'>;

export interface ShipmentFacts {
  readonly lostRows?: number;
  readonly aggregate?: AggregateFacts | undefined;
}

/** Under a new name each time. Takes over the columns' buffers. @throws Failure of the disk */
export async function writeShipment(
  { agent, log, encoder, outbox }: ShipmentWriter,
  place: ShipmentPlace,
  columns: BatchColumns,
  facts: ShipmentFacts = {},
): Promise<Pick<StagedShipment, 'file' | 'rowCount' | 'bytes'>> {
  const { rowCount, originalNames, decimals } = columns;
  const tags = columns.tags.map(({ name }) => name);
  const file = `${randomUUID()}.parquet`;
  const { lane, database, table, seq, firstLogSeq, lastLogSeq } = place;
  const way = { agent, epoch: log.opened.epoch, lane, database, table, seq };
  const metadata = { ...way, rowCount, tags, originalNames, decimals, firstLogSeq, lastLogSeq, ...facts };
  return { file, rowCount, bytes: await encoder.encode(columns, metadata, outbox.pathOf(file)) };
}
