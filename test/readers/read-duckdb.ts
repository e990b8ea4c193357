/** Reads tables with DuckDB over the list of their files: jobs as JSON on standard input, an answer per job as a line. */
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { DuckDBInstance } from '@duckdb/node-api';
import type { ReadJob } from './engines.js';

const connection = await (await DuckDBInstance.create(':memory:')).connect();
for (const job of JSON.parse(await text(process.stdin)) as ReadJob[])
  try {
    process.stdout.write(`${JSON.stringify({ rows: await read(job) })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`);
  }

async function read({ path, files }: ReadJob): Promise<unknown[]> {
  const list = files.map((file) => `'${join(path, file).replaceAll("'", "''")}'`).join(', ');
  const reader = await connection.runAndReadAll(
    `SELECT * REPLACE (epoch_us("time") AS "time")
     FROM read_parquet([${list}], union_by_name = true, hive_partitioning = false)`,
  );
  return reader.getRowObjectsJson().map(toNumbers);
}

/** DuckDB's JSON has integers of 64 bits and decimals as texts, and doubles as numbers. */
function toNumbers(row: Record<string, unknown>): Record<string, unknown> {
  const { temperature, ...others } = row;
  return { ...others, temperature: typeof temperature === 'string' ? Number(temperature) : temperature };
}
