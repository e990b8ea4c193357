/**
 * Clients that are not ours, each reading one answer of a real tsdb: curl, apache-arrow, DuckDB, pyarrow, pandas. All must find the
 * same rows, to the microsecond and the last bit of a long.
 */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import { temporaryFolder } from './installation.js';
import { skipWithoutPandas } from './readers/engines.js';
import { ServedLake } from './served-lake.js';

const rowCount = 3_000;
const sql = `select timestamptz '2026-01-01 00:00:00.123456Z' + to_seconds(i) as time, 'press ' || i || ', "ü"' as device,
  case when i % 3 = 0 then null else i / 8 end as v, 9007199254740993::bigint + i as n, i % 2 = 0 as ok
  from range(${rowCount}) r(i) order by time`;

/** Microseconds, and the long, as text: neither fits a number everywhere. */
type Row = [us: string, device: string, v: number | null, n: string, ok: boolean];

const expected: Row[] = Array.from({ length: rowCount }, (_, i) => [
  String(1_767_225_600_123_456n + BigInt(i) * 1_000_000n),
  `press ${i}, "ü"`,
  i % 3 === 0 ? null : i / 8,
  String(9_007_199_254_740_993n + BigInt(i)),
  i % 2 === 0,
]);

const cleanUps: (() => unknown)[] = [];
const owner = { after: (cleanUp: () => unknown) => void cleanUps.push(cleanUp) };
let lake: ServedLake;
before(async () => {
  lake = await ServedLake.create(owner);
  await lake.start();
});
after(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
});

function skipWithoutCurl(): string | false {
  try {
    execFileSync('curl', ['--version'], { stdio: 'pipe' });
    return false;
  } catch {
    return 'needs curl';
  }
}

async function answer(format: string): Promise<Buffer> {
  const response = await lake.query(sql, { format });
  assert.equal(response.status, 200);
  return Buffer.from(await response.arrayBuffer());
}

test('curl and CSV', { skip: skipWithoutCurl() }, () => {
  const asked = [
    '--get',
    `${lake.url}/api/v1/query`,
    '--data-urlencode',
    `sql=${sql}`,
    '--data',
    'format=csv',
  ];
  const [header, ...lines] = execFileSync('curl', ['--silent', '--fail', ...asked], { encoding: 'utf8' })
    .trimEnd()
    .split('\r\n');
  assert.equal(header, 'time,device,v,n,ok');
  const written = expected.map(([us, device, v, n, ok]) => {
    const seconds = new Date(Number(BigInt(us) / 1_000n)).toISOString().slice(0, 19);
    return `${seconds}.123456Z,"${device.replaceAll('"', '""')}",${v ?? ''},${n},${ok}`;
  });
  assert.deepEqual(lines, written);
});

test('apache-arrow, over the stream', async () => {
  const table = tableFromIPC(await answer('arrow'));
  assert.equal(String(table.schema.fields[0]?.type), 'Timestamp<MICROSECOND, UTC>');
  const rows = table.batches.flatMap((batch) => {
    const times = batch.getChild('time')?.data[0]?.values as BigInt64Array;
    return batch.toArray().map((row, index): Row => {
      const { device, v, n, ok } = row as unknown as {
        device: string;
        v: number | null;
        n: bigint;
        ok: boolean;
      };
      return [String(times[index]), device, v, String(n), ok];
    });
  });
  assert.deepEqual(rows, expected);
});

test('DuckDB, over the Parquet answer', async (context) => {
  const path = join(temporaryFolder(context), 'answer.parquet');
  writeFileSync(path, await answer('parquet'));
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(
    `select epoch_us(time)::varchar, device, v, n::varchar, ok, typeof(time) from read_parquet('${path}')`,
  );
  const rows = reader.getRows();
  connection.closeSync();
  instance.closeSync();
  assert.equal(rows[0]?.[5], 'TIMESTAMP WITH TIME ZONE');
  assert.deepEqual(
    rows.map((row) => row.slice(0, 5)),
    expected,
  );
});

const python = process.env.VARVE_TEST_PYTHON ?? 'python3';
const skip = skipWithoutPandas();

const readers: readonly (readonly [name: string, format: string, program: string])[] = [
  ['pyarrow, over the stream', 'arrow', 'rows(pa.ipc.open_stream(data).read_all())'],
  [
    'pandas, over the stream',
    'arrow',
    'rows(pa.Table.from_pandas(pa.ipc.open_stream(data).read_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)))',
  ],
  [
    'pandas, over the Parquet answer',
    'parquet',
    'rows(pa.Table.from_pandas(pd.read_parquet(io.BytesIO(data))))',
  ],
];
for (const [name, format, program] of readers)
  test(name, { skip }, async () => {
    const script = `
import io, json, sys
import pandas as pd, pyarrow as pa, pyarrow.compute as pc
data = sys.stdin.buffer.read()
def rows(table):
    assert str(table.schema.field("time").type) in ("timestamp[us, tz=UTC]", "timestamp[ns, tz=UTC]"), table.schema
    us = pc.cast(pc.cast(table["time"], pa.timestamp("us", "UTC")), pa.int64())
    columns = [[str(x) for x in us.to_pylist()], table["device"].to_pylist(), table["v"].to_pylist(), [str(x) for x in table["n"].to_pylist()], table["ok"].to_pylist()]
    json.dump([list(row) for row in zip(*columns)], sys.stdout)
${program}`;
    const output = execFileSync(python, ['-c', script], { input: await answer(format), maxBuffer: 2 ** 24 });
    assert.deepEqual(JSON.parse(output.toString()), expected);
  });
