/**
 * The readers: engines that are not ours, each asked in a process of its own for all rows of a table at a version.
 *
 * ClickHouse (chdb, with the Delta kernel) and DuckDB, over the list of files of our own log reader, are always there.
 * Python's are there where `VARVE_TEST_PYTHON` (else `python3`) has their packages: deltalake, polars, datafusion, with
 * pyarrow. Spark is asked where `VARVE_TEST_SPARK_PYTHON` (else the same) has pyspark and delta-spark; their jars it fetches
 * from Maven, unless they are named, with commas between, in `VARVE_TEST_SPARK_JARS`.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { textOf, type ReadRow } from './rows.js';

export interface ReadJob {
  /** The table's folder. */
  readonly path: string;
  /** Null: the newest. */
  readonly version: number | null;
  /** Of that version, relative to the folder: what our own log reader says. */
  readonly files: readonly string[];
}

export type Reading = { readonly rows: readonly ReadRow[] } | { readonly error: string };

type RawRow = Readonly<Record<string, string | number | boolean | null>>;

export interface Engine {
  readonly name: string;
  /** Why it cannot be asked here. */
  readonly missing: string | undefined;
  read(jobs: readonly ReadJob[]): Promise<Reading[]>;
}

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** Python is not compiled: the script stands beside this file's source. */
const pythonScript = fileURLToPath(new URL('../../readers/read_table.py', import.meta.url));
const python = () => process.env.VARVE_TEST_PYTHON ?? 'python3';
/** Spark of one version goes with packages of its time. */
const pythonOf = (name: string) => (name === 'spark' && process.env.VARVE_TEST_SPARK_PYTHON) || python();

const pythonModules: readonly (readonly [name: string, ...modules: string[]])[] = [
  ['deltalake', 'deltalake', 'pyarrow'],
  ['polars', 'polars', 'deltalake', 'pyarrow'],
  ['datafusion', 'datafusion', 'deltalake', 'pyarrow'],
  ['spark', 'pyspark', 'delta', 'pyarrow'],
];

export function findEngines(): Engine[] {
  return [
    nodeEngine('clickhouse', 'read-clickhouse.js'),
    nodeEngine('duckdb', 'read-duckdb.js'),
    ...pythonModules.map(pythonEngine),
  ];
}

function nodeEngine(name: string, file: string): Engine {
  return { name, missing: undefined, read: (jobs) => ask(process.execPath, [script(file)], jobs) };
}

function pythonEngine([name, ...modules]: readonly [string, ...string[]]): Engine {
  return {
    name,
    missing: missingModules(pythonOf(name), modules),
    read: (jobs) => ask(pythonOf(name), [pythonScript, name], jobs),
  };
}

function missingModules(program: string, modules: readonly string[]): string | undefined {
  const lines = modules.map((name) => `import ${name}`).join('\n');
  try {
    execFileSync(program, ['-c', lines], { stdio: 'pipe' });
    return undefined;
  } catch {
    return `needs ${modules.join(', ')} for Python: install them, and name that Python in VARVE_TEST_PYTHON`;
  }
}

/** Appends rows with delta-rs; `time` is microseconds. */
export async function appendWithDeltaRs(path: string, rows: readonly object[]): Promise<void> {
  await run(python(), [pythonScript, 'append'], [{ path, rows }]);
}

export function skipWithoutDeltaRs(): string | false {
  return missingModules(python(), ['deltalake', 'pyarrow']) ?? false;
}

export function skipWithoutPandas(): string | false {
  return missingModules(python(), ['pandas', 'pyarrow']) ?? false;
}

/** The data files of each version, relative to the table, in order, as delta-rs knows them. */
export async function filesByDeltaRs(
  jobs: readonly Pick<ReadJob, 'path' | 'version'>[],
): Promise<{ files?: string[]; error?: string }[]> {
  const plainJobs = jobs.map(({ path, version }) => ({ path, version }));
  const output = await run(python(), [pythonScript, 'files'], plainJobs);
  const lines = output.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as { files?: string[]; error?: string });
}

async function ask(command: string, args: readonly string[], jobs: readonly ReadJob[]): Promise<Reading[]> {
  const output = await run(command, args, jobs).catch((error: unknown) => {
    return JSON.stringify({ error: String(error) });
  });
  const lines = output.split('\n').filter((line) => line !== '');
  const answers = lines.map((line) => JSON.parse(line) as { rows?: RawRow[]; error?: string });
  return jobs.map((_, index): Reading => {
    const { rows, error = 'no answer' } = answers[index] ?? {};
    return rows ? { rows: rows.map(plain) } : { error };
  });
}

/** Values as texts; a column and the double beside it as one. */
function plain(row: RawRow): ReadRow {
  const values = Object.entries(row).filter(([name]) => name !== 'day');
  const sides = new Map(values.filter(([name]) => name.endsWith('__double')));
  return Object.fromEntries(
    values
      .filter(([name]) => !sides.has(name))
      .map(([name, value]) => [name, textOf(value ?? sides.get(`${name}__double`))]),
  );
}

async function run(command: string, args: readonly string[], input: unknown): Promise<string> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  const outputs = Promise.all([text(child.stdout), text(child.stderr)]);
  child.stdin.end(JSON.stringify(input));
  const [stdout, stderr] = await outputs;
  const [code] = (await exited) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${stderr.slice(-2_000)}`);
  return stdout;
}
