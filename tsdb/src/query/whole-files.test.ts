import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { QueryFixture } from './query.test.fixture.js';
import { renderAnswer } from './render-answer.js';
import { WholeFiles } from './whole-files.js';

let folder: string;
let instance: DuckDBInstance;
let connection: DuckDBConnection;
let count = 0;
const run = async (sql: string) => {
  count++;
  return await connection.run(sql);
};
const pathOf = (name: string) => join(folder, `${name}.parquet`);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whole-files-'));
  instance = await DuckDBInstance.create(':memory:');
  connection = await instance.connect();
  const files = {
    template: 'select null::timestamptz as time, null::varchar as device, null::double as v where false',
    whole: "select timestamptz '2026-01-01' as time, 'a' as device, 1.5::double as v",
    more: "select timestamptz '2026-01-01' as time, 'a' as device, 1.5::double as v, 7 as other",
    short: "select timestamptz '2026-01-01' as time, 'a' as device",
    decimal: "select timestamptz '2026-01-01' as time, 'a' as device, 1.5::decimal(18, 2) as v",
  };
  for (const [name, sql] of Object.entries(files))
    await connection.run(`COPY (${sql}) TO '${pathOf(name)}' (FORMAT parquet)`);
});
after(async () => {
  connection.closeSync();
  instance.closeSync();
  await rm(folder, { recursive: true });
});

const [whole, more, short, decimal] = ['whole', 'more', 'short', 'decimal'];
const cases: [names: string[], isOne: boolean, areAll: boolean][] = [
  [[], false, true],
  [[whole], true, true],
  [[more], true, true],
  [[short], false, false],
  [[decimal], false, false],
  [[short, decimal, whole], true, false],
  [[whole, short], true, false],
  [[whole, more, whole], true, true],
  // Of many, which have not been looked at.
  [[short, whole, whole, whole, whole], false, false],
];
for (const [names, isOne, areAll] of cases)
  test(`of ${names.join(', ') || 'no files'} ${isOne ? 'one' : 'none'} is whole, ${areAll ? 'and all are' : 'not all are'}`, async () => {
    const found = await new WholeFiles().look(names.map(pathOf), pathOf('template'), run);
    assert.deepEqual(found, { isOne, areAll });
  });

test('a file is looked at once, and of many a few by every query', async () => {
  const files = new WholeFiles();
  const copies = Array.from({ length: 6 }, (_, index) => `copy${index}`);
  for (const name of copies) await copyFile(pathOf('whole'), pathOf(name));
  const look = async () => {
    count = 0;
    const { areAll } = await files.look(copies.map(pathOf), pathOf('template'), run);
    return { areAll, looks: count };
  };
  assert.deepEqual(await look(), { areAll: false, looks: 5 });
  assert.deepEqual(await look(), { areAll: true, looks: 2 });
  assert.deepEqual(await look(), { areAll: true, looks: 0 });
});

test('what a query sees does not depend on it', async () => {
  const fixture = await QueryFixture.open();
  const file = (day: number, fields: string) =>
    `select timestamptz '2026-01-0${day}' as time, ${fields}, date '2026-01-0${day}' as day`;
  await fixture.put({
    table: 't',
    fields: { v: 'double', w: 'double' },
    files: [
      file(1, '1.5::double as v, 2.5::double as w'),
      file(2, '3.25::decimal(9, 2) as v'),
      file(3, '4::double as w'),
      file(4, '6::double as w, 5::double as v'),
    ],
  });
  await fixture.startEngine();
  const ask = async (where: string) => {
    const sql = `select v, w, typeof(v) as type from t where ${where} order by time`;
    let text = '';
    for await (const piece of renderAnswer(
      await fixture.engine.query({ sql }, new AbortController().signal),
      'csv',
    ))
      text += Buffer.from(piece).toString();
    return text.trim().split('\r\n').slice(1);
  };
  const [first, second, third, fourth] = ['1.5,2.5,DOUBLE', '3.25,,DOUBLE', ',4,DOUBLE', '5,6,DOUBLE'];
  // All of these have all columns, each in another order.
  assert.deepEqual(await ask("time < '2026-01-02' or time >= '2026-01-04'"), [first, fourth]);
  assert.deepEqual(await ask("time < '2026-01-02'"), [first]);
  assert.deepEqual(await ask("time >= '2026-01-02' and time < '2026-01-03'"), [second]);
  assert.deepEqual(await ask("time >= '2026-01-03' and time < '2026-01-04'"), [third]);
  assert.deepEqual(await ask('true'), [first, second, third, fourth]);
  assert.deepEqual(await ask("time < '2026-01-02' or time >= '2026-01-04'"), [first, fourth]);
  assert.deepEqual(await ask('v > 1'), [first, second, fourth]);
  await fixture.close();
});
