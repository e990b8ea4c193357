import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { tableFromIPC } from 'apache-arrow';
import { Encoding, ParquetFile, readParquet } from 'parquet-wasm';
import { parseShipmentMetadata } from '@varve/common/contract/read-shipment.js';
import { formatShipmentMetadata, type ShipmentMetadata } from '@varve/common/contract/shipment.js';
import { TableBatch } from '../batch/table-batch.js';
import { encodeShipment } from './encode-shipment.js';

const metadata: ShipmentMetadata = {
  ...{
    agent: 'press',
    epoch: '20261122t000000z-1',
    lane: 'live',
    database: 'main',
    table: 'environment',
    seq: 3,
  },
  ...{ rowCount: 5, tags: ['device'], originalNames: { temp_c: 'Temp °C' }, firstLogSeq: 10, lastLogSeq: 14 },
};
const keyValues = formatShipmentMetadata(metadata);

function sampleBatch(): TableBatch {
  const batch = new TableBatch({ tags: ['device'], declaredTypes: new Map([['n', 'long']]) });
  const add = (timeUs: number, device: string, value: number) => {
    batch.beginRow(timeUs, [device]);
    batch.setField('temp_c', 'Temp °C', 'double', value);
  };
  // U+FF5E sorts before an emoji in UTF-8, after it in UTF-16.
  add(30, '\u{1f600}', 1);
  add(20, '\uff5e', 2);
  batch.setField('n', 'n', 'long', 9_007_199_254_740_991);
  add(10, '\uff5e', 3);
  batch.setField('ok', 'ok', 'boolean', true);
  add(10, '\uff5e', 4);
  batch.setField('note', 'note', 'string', 'later wins');
  add(40, 'a', 5);
  return batch;
}

test('rows are sorted by tags in UTF-8 order, then time, then arrival; values keep their rows', () => {
  const table = tableFromIPC(readParquet(encodeShipment(sampleBatch().finish(), keyValues)).intoIPCStream());
  assert.deepEqual(
    table.toArray().map((row: unknown) => {
      const { device, temp_c, n, ok, note } = row as Record<string, unknown>;
      return [device, temp_c, n, ok, note];
    }),
    [
      ['a', 5, null, null, null],
      ['\uff5e', 3, null, true, null],
      ['\uff5e', 4, null, null, 'later wins'],
      ['\uff5e', 2, 9_007_199_254_740_991n, null, null],
      ['\u{1f600}', 1, null, null, null],
    ],
  );
});

test('the columns have the types of the contract, and the file says of itself what it is', async () => {
  const bytes = encodeShipment(sampleBatch().finish(), keyValues);
  const table = tableFromIPC(readParquet(bytes).intoIPCStream());
  const types = Object.fromEntries(table.schema.fields.map(({ name, type }) => [name, String(type)]));
  assert.equal(types['time'], 'Timestamp<MICROSECOND, UTC>');
  assert.equal(types['temp_c'], 'Float64');
  assert.equal(types['n'], 'Int64');
  assert.equal(types['ok'], 'Bool');
  assert.match(types['device'] ?? '', /Utf8/);
  const file = await ParquetFile.fromFile(new Blob([Buffer.from(bytes)]));
  const entries = file.metadata().fileMetadata().keyValueMetadata() as Map<string, string>;
  assert.deepEqual(parseShipmentMetadata(entries), metadata);
});

test('a long column with a value beyond 2^53 is exact, in every row', () => {
  const exact = [7, -(2n ** 63n), 9_007_199_254_740_993n, -1, 2n ** 63n - 1n];
  const batch = new TableBatch({ tags: [], declaredTypes: new Map() });
  for (let index = 0; index < 1_000; index++) {
    batch.beginRow(index);
    const value = exact[index % 10];
    if (value !== undefined) batch.setField('n', 'n', 'long', value);
  }
  const rows = { ...metadata, rowCount: 1_000, tags: [], originalNames: {} };
  const table = tableFromIPC(
    readParquet(encodeShipment(batch.finish(), formatShipmentMetadata(rows))).intoIPCStream(),
  );
  const column = table.getChild('n');
  const read = Array.from({ length: 1_000 }, (_, row) => column?.get(row) as bigint | null);
  const written = Array.from({ length: 1_000 }, (_, row) => exact[row % 10]);
  assert.deepEqual(
    read,
    written.map((value) => (value === undefined ? null : BigInt(value))),
  );
});

test('time is delta-coded and not dictionary-coded', async () => {
  const file = await ParquetFile.fromFile(
    new Blob([Buffer.from(encodeShipment(sampleBatch().finish(), keyValues))]),
  );
  const time = file.metadata().rowGroup(0).column(0);
  assert.deepEqual(time.columnPath(), ['time']);
  const encodings = time.encodings();
  assert(encodings.includes(Encoding.DELTA_BINARY_PACKED));
  assert(!encodings.includes(Encoding.RLE_DICTIONARY) && !encodings.includes(Encoding.PLAIN_DICTIONARY));
});
