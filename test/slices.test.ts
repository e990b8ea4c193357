/**
 * Slices of Parquet files that others than DuckDB have written: the agent's, pyarrow's. DuckDB reads the same rows of a slice as of
 * the file. pyarrow is that of `VARVE_TEST_PYTHON`, where it is there.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { formatShipmentMetadata } from '@varve/common/contract/shipment.js';
import { TableBatch } from '@varve/edge-agent/batch/table-batch.js';
import { encodeShipment } from '@varve/edge-agent/encode/encode-shipment.js';
import { assertSlicesHold } from '@varve/tsdb/cache/slices/slices.test.fixture.js';

let folder = '';
let instance: DuckDBInstance;
let connection: DuckDBConnection;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slices-'));
  instance = await DuckDBInstance.create(':memory:');
  connection = await instance.connect();
});
after(async () => {
  connection.closeSync();
  instance.closeSync();
  await rm(folder, { recursive: true });
});

test('a slice of a shipment has the rows of its file', async () => {
  const batch = new TableBatch({ tags: ['device'], declaredTypes: new Map([['n', 'long']]) });
  for (let row = 0; row < 5_000; row++) {
    batch.beginRow(row * 1_000, [`dev-${row % 3}`]);
    batch.setField('temp', 'temp', 'double', Math.sin(row));
    if (row % 5 === 0) batch.setField('n', 'n', 'long', row);
    if (row % 7 === 0) batch.setField('note', 'note', 'string', `row ${row}`);
  }
  const path = join(folder, 'shipment.parquet');
  const names = { agent: 'press', epoch: '20261122t000000z-1', lane: 'live', database: 'main', table: 'a' };
  const facts = { seq: 1, rowCount: 5_000, tags: ['device'], originalNames: {} };
  const metadata = formatShipmentMetadata({ ...names, ...facts, firstLogSeq: 1, lastLogSeq: 2 } as const);
  await writeFile(path, encodeShipment(batch.finish(), metadata));
  await assertSlicesHold(connection, path);
});

const python = process.env.VARVE_TEST_PYTHON ?? 'python3';
const hasPyarrow = succeeds(() => execFileSync(python, ['-c', 'import pyarrow'], { stdio: 'ignore' }));

const options: Readonly<Record<string, string>> = {
  'as they come': '',
  'with page indexes, pages of version 2':
    "write_page_index=True, data_page_version='2.0', compression='zstd'",
  'without dictionaries, many pages': 'use_dictionary=False, data_page_size=512, write_batch_size=64',
  'with byte stream split and checksums':
    "use_dictionary=False, use_byte_stream_split=['temp'], write_page_checksum=True",
  'of version 1.0, without statistics': "version='1.0', write_statistics=False, compression='gzip'",
  'sorted, decimals as integers':
    "store_decimal_as_integer=True, sorting_columns=[pq.SortingColumn(0)], compression='none'",
};
for (const [name, written] of Object.entries(options))
  test(
    `a slice of a file of pyarrow's has the rows of its file: ${name}`,
    { skip: !hasPyarrow },
    async () => {
      const path = join(folder, 'pyarrow.parquet');
      const script = `
import sys, datetime, decimal, pyarrow as pa, pyarrow.parquet as pq
n = 5000
start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
pq.write_table(pa.table({
  'time': pa.array([start + datetime.timedelta(seconds=i) for i in range(n)], pa.timestamp('us', 'UTC')),
  'device': pa.array(['dev-%d' % (i // 1000) for i in range(n)]),
  'temp': pa.array([None if i % 7 == 0 else i / 3 for i in range(n)], pa.float64()),
  'level': pa.array([decimal.Decimal(i) / 100 for i in range(n)], pa.decimal128(18, 2)),
  'note': pa.array([None if i % 3 else 'ä%d' % i for i in range(n)]),
  'ok': pa.array([i % 2 == 0 for i in range(n)]),
  'day': pa.array([start.date()] * n, pa.date32()),
}), sys.argv[1], row_group_size=700${written === '' ? '' : `, ${written}`})`;
      execFileSync(python, ['-c', script, path]);
      await assertSlicesHold(connection, path);
    },
  );

function succeeds(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}
