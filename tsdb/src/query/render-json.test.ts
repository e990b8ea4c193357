import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';
import { jsonEncoder } from './json-values.js';
import { typeName } from './type-names.js';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';

let instance: DuckDBInstance;
let connection: DuckDBConnection;
before(async () => {
  instance = await DuckDBInstance.create(':memory:');
  connection = await instance.connect();
  await connection.run("set TimeZone = 'UTC'");
});
after(() => {
  connection.closeSync();
  instance.closeSync();
});

const values: [sql: string, type: string, json: string][] = [
  ['true', 'bool', 'true'],
  ['1::tinyint', 'int8', '1'],
  ['-1::smallint', 'int16', '-1'],
  ['1', 'int32', '1'],
  ['9007199254740991', 'int64', '9007199254740991'],
  ['9007199254740992', 'int64', '"9007199254740992"'],
  ['-9007199254740993', 'int64', '"-9007199254740993"'],
  ['1::utinyint', 'uint8', '1'],
  ['1::usmallint', 'uint16', '1'],
  ['1::uinteger', 'uint32', '1'],
  ['18446744073709551615::ubigint', 'uint64', '"18446744073709551615"'],
  ['5::hugeint', 'int128', '5'],
  ['170141183460469231731687303715884105727::hugeint', 'int128', '"170141183460469231731687303715884105727"'],
  ['5::uhugeint', 'uint128', '5'],
  ['7::bignum', 'bignum', '7'],
  ['0.1::float', 'float', '0.1'],
  ['16777216.0::float', 'float', '16777216'],
  ["'nan'::float", 'float', 'null'],
  ['0.1::double', 'double', '0.1'],
  ['1e300::double', 'double', '1e+300'],
  ["'nan'::double", 'double', 'null'],
  ["'inf'::double", 'double', 'null'],
  ["'-inf'::double", 'double', 'null'],
  ['12.30::decimal(9, 2)', 'decimal(9, 2)', '12.30'],
  ['-0.05::decimal(9, 2)', 'decimal(9, 2)', '-0.05'],
  ['5::decimal(9, 0)', 'decimal(9, 0)', '5'],
  ["timestamptz '2026-01-01 01:00:00+01'", 'timestamp[us, UTC]', '"2026-01-01T00:00:00Z"'],
  ["timestamptz 'infinity'", 'timestamp[us, UTC]', 'null'],
  ["timestamp '2026-01-01 00:00:00.25'", 'timestamp[us]', '"2026-01-01T00:00:00.25Z"'],
  ["timestamp_s '2026-01-01 00:00:00'", 'timestamp[s]', '"2026-01-01T00:00:00Z"'],
  ["timestamp_ms '2026-01-01 00:00:00.001'", 'timestamp[ms]', '"2026-01-01T00:00:00.001Z"'],
  ["timestamp_ns '2026-01-01 00:00:00.000000001'", 'timestamp[ns]', '"2026-01-01T00:00:00.000000001Z"'],
  ["timestamp '290000-01-01 00:00:00'", 'timestamp[us]', '"290000-01-01 00:00:00"'],
  ["date '2026-01-01'", 'date', '"2026-01-01"'],
  ["date 'infinity'", 'date', 'null'],
  ["time '10:00:00.5'", 'time[us]', '"10:00:00.5"'],
  ["'10:00:00+02'::timetz", 'time[us, offset]', '"10:00:00+02"'],
  ["interval '1 month 2 days 3.5 seconds'", 'interval', '"P1M2DT3.5S"'],
  ["'a\"b\n'", 'string', JSON.stringify('a"b\n')],
  ["'😀'", 'string', '"😀"'],
  ["'a'::enum('a')", 'string', '"a"'],
  ["'{}'::json", 'string', '"{}"'],
  ["'\\xAA\\x00'::blob", 'binary', '"qgA="'],
  ["'00000000-0000-0000-0000-000000000001'::uuid", 'uuid', '"00000000-0000-0000-0000-000000000001"'],
  ["'101'::bit", 'bit', '"101"'],
  ['[1.5::double, null]', 'list<double>', '[1.5,null]'],
  ['[]::int[]', 'list<int32>', '[]'],
  ['array_value(1, 2)', 'list<int32>[2]', '[1,2]'],
  [
    "{a: 1, b: [timestamptz '2026-01-01 00:00:00Z'], c: null}",
    'struct<a: int32, b: list<timestamp[us, UTC]>, c: int32>',
    '{"a":1,"b":["2026-01-01T00:00:00Z"],"c":null}',
  ],
  ["map {'k': 1}", 'map<string, int32>', '{"k":1}'],
  ["map {1: 'x'}", 'map<int32, string>', '[[1,"x"]]'],
  ['union_value(num := 2)', 'union<num: int32>', '2'],
  ['null::double', 'double', 'null'],
  ['null::int[]', 'list<int32>', 'null'],
];
for (const [sql, type, json] of values)
  test(`${sql} is ${json}, a ${type}`, async () => {
    const result = await connection.run(`select ${sql}`);
    const columnType = result.columnType(0);
    const chunk = await result.fetchChunk();
    assert.equal(typeName(columnType), type);
    assert.equal(jsonEncoder(columnType)(chunk?.getColumnVector(0).getItem(0) ?? null), json);
    JSON.parse(json);
  });

test('an answer is one JSON text, however many pieces it has', async () => {
  const fixture = await QueryFixture.open();
  const engine = await fixture.startEngine();
  const answer = await engine.query(
    { sql: "select i, 'x' as x from range(50000) r(i)", rowsMax: 50_000 },
    new AbortController().signal,
  );
  const pieces: string[] = [];
  for await (const piece of renderAnswer(answer)) pieces.push(Buffer.from(piece).toString());
  const { rows, stats, ...rest } = JSON.parse(pieces.join('')) as {
    rows: unknown[];
    stats: { elapsed_ms: number };
  };
  assert.ok(pieces.length > 5);
  assert.deepEqual([rows.length, rows[0], rows.at(-1)], [50_000, [0, 'x'], [49_999, 'x']]);
  assert.ok(stats.elapsed_ms > 0);
  assert.deepEqual(rest, {
    query_id: answer.queryId,
    columns: [
      { name: 'i', type: 'int64' },
      { name: 'x', type: 'string' },
    ],
    row_count: 50_000,
    truncated: false,
  });
  await fixture.close();
});
