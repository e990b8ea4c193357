/**
 * Rows of the loss ledger as a batch of table `varve_losses` in database `main`: they ship like data, so "nothing is lost" is
 * a query.
 *
 *     time (unique for each row of an agent), tags agent, kind, stream;
 *     fields count, bytes, first_seq, last_seq, first_ms, last_ms (long), reason (string)
 */
import type { FieldType } from '@varve/common/contract/columns.js';
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import { TableBatch } from '../batch/table-batch.js';
import type { LedgerRow } from '../log/loss.js';

/** No stream may have this name. */
export const lossesTable = 'varve_losses';
export const lossesDestination = { database: defaultDatabase, table: lossesTable } as const;

const longFields = {
  count: 'count',
  bytes: 'bytes',
  first_seq: 'firstSeq',
  last_seq: 'lastSeq',
  first_ms: 'firstMs',
  last_ms: 'lastMs',
} as const satisfies Readonly<Record<string, keyof LedgerRow>>;

const declaredTypes: ReadonlyMap<string, FieldType> = new Map([
  ...Object.keys(longFields).map((name): [string, FieldType] => [name, 'long']),
  ['reason', 'string'],
]);

export function lossesBatch(agent: string, rows: readonly LedgerRow[]): TableBatch {
  const batch = new TableBatch({ tags: ['agent', 'kind', 'stream'], declaredTypes });
  for (const row of rows) {
    // A tag that is not given is null.
    batch.beginRow(row.timeUs, [agent, row.kind, ...(row.stream === null ? [] : [row.stream])]);
    for (const [field, member] of Object.entries(longFields)) {
      const value = row[member];
      if (value !== null) batch.setField(field, field, 'long', value);
    }
    batch.setField('reason', 'reason', 'string', row.reason);
  }
  return batch;
}
