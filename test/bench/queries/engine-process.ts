/**
 * DuckDB or ClickHouse (chdb) in a process of its own, asked by messages: `{sql, setup}` is answered by `{ms, check}` or
 * `{error}`. One connection; a question that came before is not prepared again.
 */
import { dirname } from 'node:path';
import type { AnswerCheck } from './contestant.js';
import { checkOf } from './contestant.js';

export interface EngineQuestion {
  readonly sql: string;
  /** Run before the first time that `sql` is asked. */
  readonly setup: readonly string[];
}

export type EngineAnswer = { readonly ms: number; readonly check: AnswerCheck } | { readonly error: string };

type Ask = (question: EngineQuestion) => Promise<{ ms: number; check: AnswerCheck }>;

async function openDuckDb(): Promise<Ask> {
  const { DuckDBDecimalValue, DuckDBInstance } = await import('@duckdb/node-api');
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true");
  let asked = '';
  let prepared: Awaited<ReturnType<typeof connection.prepare>> | undefined;
  return async ({ sql, setup }) => {
    if (asked !== sql || !prepared) {
      for (const statement of setup) await connection.run(statement);
      prepared = await connection.prepare(sql);
      asked = sql;
    }
    const startedMs = performance.now();
    const reader = await prepared.runAndReadAll();
    const ms = performance.now() - startedMs;
    const cells = reader.getRows().flat();
    return {
      ms,
      check: checkOf(cells.map((cell) => (cell instanceof DuckDBDecimalValue ? cell.toDouble() : cell))),
    };
  };
}

async function openClickHouse(folder: string): Promise<Ask> {
  const { Session } = await import('chdb');
  // It reads files below the working directory only.
  process.chdir(dirname(folder));
  const session = new Session();
  const settings =
    'SETTINGS output_format_json_quote_64bit_integers = 0, output_format_json_quote_decimals = 0';
  let asked = '';
  return async ({ sql, setup }) => {
    if (asked !== sql) for (const statement of setup) session.query(statement);
    asked = sql;
    const startedMs = performance.now();
    const text = session.query(`${sql} ${settings}`, 'JSONCompact');
    const ms = performance.now() - startedMs;
    const { data } = JSON.parse(text) as { data: unknown[][] };
    return Promise.resolve({ ms, check: checkOf(data.flat()) });
  };
}

if (process.send) {
  const [, , engine, folder = ''] = process.argv;
  const ask = engine === 'duckdb' ? await openDuckDb() : await openClickHouse(folder);
  const answer = async (question: EngineQuestion): Promise<EngineAnswer> => {
    try {
      return await ask(question);
    } catch (error) {
      return { error: String(error) };
    }
  };
  process.on(
    'message',
    (question: EngineQuestion) => void answer(question).then((found) => process.send?.(found)),
  );
  process.send('ready');
}
