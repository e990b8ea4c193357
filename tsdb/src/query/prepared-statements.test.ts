import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { PreparedStatements, statementKey, statementsMax } from './prepared-statements.js';

let folder = '';
let connection: DuckDBConnection;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prepared-statements-'));
  connection = await (await DuckDBInstance.create(':memory:')).connect();
  for (const value of [1, 2])
    await connection.run(`COPY (SELECT ${value} AS v) TO '${folder}/${value}.parquet' (FORMAT parquet)`);
});
after(async () => {
  connection.closeSync();
  await rm(folder, { recursive: true });
});

const show = (...values: number[]) =>
  connection.run(
    `SET VARIABLE files = [${values.map((value) => `'${folder}/${value}.parquet'`).join(', ')}]`,
  );

test('a statement that is kept reads the files of now', async () => {
  const statements = new PreparedStatements(connection);
  await show(1);
  await connection.run("CREATE VIEW shown AS SELECT * FROM read_parquet(getvariable('files'))");
  const answers: unknown[] = [];
  const ask = async () => {
    const prepared = await statements.keep('main', 'SELECT sum(v)::INT FROM shown');
    answers.push((await prepared.runAndReadAll()).getRows()[0]?.[0]);
  };
  await ask();
  await show(2);
  await ask();
  await show(1, 2);
  await ask();
  await connection.run(
    "CREATE OR REPLACE VIEW shown AS SELECT 10 * v AS v FROM read_parquet(getvariable('files'))",
  );
  await ask();
  assert.deepEqual(answers, [1, 2, 3, 30]);
});

test('is kept apart by the schema that stands for tables without one', async () => {
  const statements = new PreparedStatements(connection);
  const first = await statements.keep('main', 'SELECT 1');
  assert.ok(statements.has(statementKey('main', 'SELECT 1')));
  assert.ok(!statements.has(statementKey('lab', 'SELECT 1')));
  assert.notEqual(await statements.keep('lab', 'SELECT 1'), first);
  assert.equal(await statements.keep('main', 'SELECT 1'), first);
});

test('the longest unused goes first', async () => {
  const statements = new PreparedStatements(connection);
  for (let number = 0; number < statementsMax; number++) await statements.keep('main', `SELECT ${number}`);
  await statements.keep('main', 'SELECT 0');
  await statements.keep('main', 'SELECT 99');
  assert.ok(statements.has(statementKey('main', 'SELECT 0')));
  assert.ok(!statements.has(statementKey('main', 'SELECT 1')));
  assert.ok(statements.has(statementKey('main', 'SELECT 2')));
  statements.forget('main', 'SELECT 2');
  assert.ok(!statements.has(statementKey('main', 'SELECT 2')));
});

test('what cannot be prepared is not kept', async () => {
  const statements = new PreparedStatements(connection);
  await assert.rejects(statements.keep('main', 'SELECT nothing'));
  assert.ok(!statements.has(statementKey('main', 'SELECT nothing')));
});
