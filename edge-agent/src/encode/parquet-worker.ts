/** The encoder's thread. */
import '../v8-flags.js';
import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { parentPort } from 'node:worker_threads';
import { replaceFile } from '@varve/common/store/durable-file.js';
import { fileFailure } from '@varve/common/store/file-failure.js';
import type { BatchColumns } from '../batch/table-batch.js';
import { serveCalls } from '../worker-call.js';
import { encodeShipment } from './encode-shipment.js';

assert(parentPort, 'this file runs as a worker thread');

serveCalls(parentPort, {
  async encode(columns: BatchColumns, keyValues: Map<string, string>, path: string): Promise<number> {
    const bytes = encodeShipment(columns, keyValues);
    try {
      await replaceFile(path, (partPath) => writeFile(partPath, bytes));
    } catch (cause) {
      throw fileFailure(cause, `write ${path}`);
    }
    return bytes.length;
  },
});
