/**
 * Parquet files of shipments (DESIGN §5.5): ZSTD, `time` delta-coded and never dictionary-coded. Runs on the encoder's
 * thread only: WebAssembly's memory never shrinks, it goes with the thread.
 */
import { tableToIPC } from 'apache-arrow';
import {
  Compression,
  Encoding,
  Table as WasmTable,
  writeParquet,
  WriterPropertiesBuilder,
} from 'parquet-wasm';
import { timeColumnName } from '@varve/common/contract/columns.js';
import type { BatchColumns } from '../batch/table-batch.js';
import { toArrowTable } from './arrow-batch.js';

/** `keyValues` is what the shipment says of itself (`formatShipmentMetadata`). */
export function encodeShipment(columns: BatchColumns, keyValues: Map<string, string>): Uint8Array {
  const properties = new WriterPropertiesBuilder()
    .setCompression(Compression.ZSTD)
    .setColumnEncoding(timeColumnName, Encoding.DELTA_BINARY_PACKED)
    .setColumnDictionaryEnabled(timeColumnName, false)
    .setKeyValueMetadata(keyValues)
    .setCreatedBy('varve-edge')
    .build();
  // Both are consumed by the call, so there is nothing to free.
  return writeParquet(WasmTable.fromIPCStream(tableToIPC(toArrowTable(columns), 'stream')), properties);
}
