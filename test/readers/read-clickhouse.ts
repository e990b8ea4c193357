/** Reads Delta tables with ClickHouse: jobs come as JSON on standard input, an answer per job goes out as a line. */
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { query } from 'chdb';
import type { ReadJob } from './engines.js';

const settings = [
  'output_format_json_quote_64bit_integers = 1',
  'output_format_json_quote_decimals = 0',
  'allow_experimental_delta_kernel_rs = 1',
];

for (const { path, version } of JSON.parse(await text(process.stdin)) as ReadJob[])
  try {
    process.stdout.write(`${JSON.stringify({ rows: read(path, version) })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`);
  }

function read(path: string, version: number | null): unknown[] {
  // It reads files below the working directory only.
  process.chdir(dirname(path));
  const atVersion = version === null ? [] : [`delta_lake_snapshot_version = ${version}`];
  const sql = `SELECT * REPLACE (toString(toUnixTimestamp64Micro(time)) AS time) FROM deltaLakeLocal('${path}')
    SETTINGS ${[...settings, ...atVersion].join(', ')}`;
  return query(sql, 'JSONEachRow')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);
}
