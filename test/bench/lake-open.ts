/**
 * How long it takes to open a large table, and how much memory: 100,000 commits with a checkpoint near the end, and a
 * checkpoint of 1,000,000 live files. In processes of their own, with the store a folder; the page cache is warm.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { withOwner, type BenchOptions } from './bench-run.js';
import type { OpenedLake } from './open-lake.js';
import { verdict, type Report } from './report.js';
import { median } from './statistics.js';

const opener = fileURLToPath(new URL('open-lake.js', import.meta.url));
const manyCommits = 100_000;
const manyFiles = 1_000_000;
const filesPerDay = 1_000;

const schemaString = JSON.stringify({
  type: 'struct',
  fields: [
    ...[
      ['time', 'timestamp', 'time'],
      ['device', 'string', 'tag'],
      ['site', 'string', 'tag'],
      ['humidity', 'double', 'field'],
      ['pressure', 'double', 'field'],
      ['temperature', 'double', 'field'],
    ].map(([name, type, role]) => ({ name, type, nullable: true, metadata: { 'varve.role': role } })),
    { name: 'day', type: 'date', nullable: true, metadata: {} },
  ],
});
const metaData = {
  id: '0a1b2c3d-0000-4000-8000-000000000000',
  name: 'climate',
  format: { provider: 'parquet', options: {} },
  schemaString,
  partitionColumns: ['day'],
  createdTime: 0,
  configuration: {},
};
const first = [{ protocol: { minReaderVersion: 1, minWriterVersion: 2 } }, { metaData }];

export async function benchLakeOpen({ runs, note }: BenchOptions): Promise<Report> {
  return await withOwner(async (owner) => {
    const folder = await mkdtemp(join(tmpdir(), 'varve-lake-open-'));
    owner.after(() => rm(folder, { recursive: true, force: true }));
    note(`lake-open: a table of ${manyCommits} commits`);
    const commits = await measure(await makeLake(folder, 'commits', manyCommits, 2_000), runs);
    note(`lake-open: a table of ${manyFiles} files`);
    const files = await measure(await makeLake(folder, 'files', 1, manyFiles), runs);
    return report(commits, files);
  });
}

/** A folder store whose table has a checkpoint three commits before its newest. */
async function makeLake(parent: string, name: string, commits: number, files: number): Promise<string> {
  const root = join(parent, name);
  const log = join(root, 'tables/main/climate/_delta_log');
  await mkdir(log, { recursive: true });
  const checkpointVersion = Math.max(0, commits - 4);
  await writeCheckpoint(join(log, `${digits(checkpointVersion)}.checkpoint.parquet`), files);
  await writeFile(
    join(log, '_last_checkpoint'),
    JSON.stringify({ version: checkpointVersion, size: files + 2 }),
  );
  for (let version = 0; version < commits; version += 1)
    await writeFile(join(log, `${digits(version)}.json`), commitText(version));
  return root;
}

const digits = (version: number) => String(version).padStart(20, '0');

function commitText(version: number): string {
  const commitInfo = { timestamp: version, operation: 'STREAMING UPDATE', txnId: String(version) };
  const txn = { appId: 'edge/a/1/data', version };
  const actions = [{ commitInfo }, ...(version === 0 ? first : []), { txn }];
  return actions.map((action) => `${JSON.stringify(action)}\n`).join('');
}

/** Statistics as long as real ones, of 10,000 devices. */
async function writeCheckpoint(path: string, files: number): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;
  const day = `CAST(DATE '2026-01-01' - CAST(i // ${filesPerDay} AS INTEGER) AS VARCHAR)`;
  const bounds = (end: string, factor: string) =>
    `"time":"' || d || 'T${end}Z","device":"press-' || lpad(CAST(i % 10000 AS VARCHAR), 5, '0') || '","site":"hall-' || (i % 7) || '","humidity":' || round(random() * ${factor}, 2) || ',"pressure":' || round(random() * 10${factor}, 2) || ',"temperature":' || round(random() * ${factor}, 2) || '`;
  await connection.run(`COPY (
    SELECT {path: 'day=' || d || '/part-' || uuid() || '.parquet', "partitionValues": MAP {'day': d},
        size: 60000 + i % 1000, "modificationTime": 1790000000000 + i, "dataChange": false,
        stats: '{"numRecords":4000,"minValues":{${bounds('00:00:00.000', '10')}},"maxValues":{${bounds('23:59:59.000', '90')}},"nullCount":{"time":0,"device":0,"site":0,"humidity":0,"pressure":0,"temperature":0}}',
        tags: MAP {'varve.min_time_us': CAST(epoch_us(CAST(d AS TIMESTAMP)) AS VARCHAR),
          'varve.max_time_us': CAST(epoch_us(CAST(d AS TIMESTAMP)) + 86399000000 AS VARCHAR)}} AS "add",
      NULL::STRUCT("minReaderVersion" INTEGER, "minWriterVersion" INTEGER) AS protocol,
      NULL::STRUCT(id VARCHAR) AS "metaData"
    FROM (SELECT i, ${day} AS d FROM range(${files}) AS r(i))
  ) TO ${quote(`${path}.adds`)} (FORMAT parquet)`);
  const json = (value: object) => quote(JSON.stringify(value));
  await connection.run(`COPY (
    SELECT "add", NULL::STRUCT("minReaderVersion" INTEGER, "minWriterVersion" INTEGER) AS protocol,
      NULL::STRUCT(id VARCHAR, "schemaString" VARCHAR, format STRUCT(provider VARCHAR), "partitionColumns" VARCHAR[]) AS "metaData"
    FROM read_parquet(${quote(`${path}.adds`)})
    UNION ALL SELECT NULL, {"minReaderVersion": 1, "minWriterVersion": 2}, NULL
    UNION ALL SELECT NULL, NULL, from_json(${json(metaData)},
      '{"id":"VARCHAR","schemaString":"VARCHAR","format":{"provider":"VARCHAR"},"partitionColumns":["VARCHAR"]}')
  ) TO ${quote(path)} (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  await rm(`${path}.adds`);
}

async function measure(root: string, runs: number): Promise<OpenedLake[]> {
  const opened: OpenedLake[] = [];
  for (let run = 0; run < runs; run += 1) {
    const { stdout } = await promisify(execFile)(process.execPath, [opener, root]);
    opened.push(JSON.parse(stdout) as OpenedLake);
  }
  return opened;
}

function report(commits: readonly OpenedLake[], files: readonly OpenedLake[]): Report {
  const rowOf = (title: string, opened: readonly OpenedLake[]) => {
    const of = (pick: (one: OpenedLake) => number) => median(opened.map(pick));
    return [
      title,
      of(({ ms }) => ms / 1_000),
      of(({ residentBytes }) => residentBytes / 1e6),
      of(({ peakBytes }) => peakBytes / 1e6),
      of(({ commitMs }) => commitMs),
      of(({ cloneBytes }) => cloneBytes / 1e6),
    ] as const;
  };
  const [commitsRow, filesRow] = [rowOf('100,000 commits', commits), rowOf('1,000,000 files', files)];
  return {
    bench: 'lake-open',
    tables: [
      {
        title: `Medians of ${commits.length} runs`,
        columns: ['', 'open, s', 'resident, MB', 'peak, MB', 'one more commit, ms', 'for that, MB'],
        rows: [commitsRow, filesRow],
      },
    ],
    findings: [
      `100,000 commits in ${commitsRow[1].toFixed(2)} s, target 1: ${verdict(commitsRow[1] <= 1)}`,
      `1,000,000 files in ${filesRow[1].toFixed(1)} s, target 10: ${verdict(filesRow[1] <= 10)}`,
      `1,000,000 files in ${filesRow[3].toFixed(0)} MB at most, target 1,000: ${verdict(filesRow[3] <= 1_000)}`,
    ],
  };
}
