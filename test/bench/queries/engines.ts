/** DuckDB alone, on the files that can hold the answer, and ClickHouse on the same Delta tables; each in its own process. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { quotePath } from '@varve/tsdb/delta/sql-text.js';
import type { Owner } from '../../processes.js';
import type { Contestant } from './contestant.js';
import { clickHouseSql, duckDbSql } from './dialects.js';
import type { EngineAnswer, EngineQuestion } from './engine-process.js';
import type { Days } from './questions.js';

/** Paths of a table's live files that can hold rows of such days. */
export type FilesOf = (table: string, days: Days) => readonly string[];

export async function openDuckDb(owner: Owner, filesOf: FilesOf): Promise<Contestant> {
  const { ask, pid } = await startEngine(owner, 'duckdb');
  return {
    name: 'DuckDB alone',
    pid,
    ask: async ({ tables, days, sql, duckDb }) => {
      const setup = tables.map(
        (table) =>
          `CREATE OR REPLACE TEMP VIEW ${table} AS SELECT * FROM
            read_parquet([${filesOf(table, days).map(quotePath).join(', ')}], hive_partitioning = false)`,
      );
      return await ask({ sql: duckDb ?? sql(duckDbSql), setup });
    },
  };
}

/** @param tables the folder of the store that has the Delta tables of a database */
export async function openClickHouse(owner: Owner, tablesFolder: string): Promise<Contestant> {
  const { ask, pid } = await startEngine(owner, 'clickhouse', tablesFolder);
  return {
    name: 'ClickHouse (chdb)',
    pid,
    ask: async ({ tables, sql, clickHouse }) => {
      if (clickHouse === null) return undefined;
      const setup = tables.map(
        (table) =>
          `CREATE TABLE IF NOT EXISTS ${table} ENGINE = DeltaLakeLocal('${join(tablesFolder, table)}')`,
      );
      return await ask({ sql: clickHouse ?? sql(clickHouseSql), setup });
    },
  };
}

async function startEngine(owner: Owner, ...args: string[]) {
  const child = fork(fileURLToPath(new URL('engine-process.js', import.meta.url)), args);
  owner.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await nextMessage(child);
  const ask = async (question: EngineQuestion) => {
    child.send(question);
    const answer = (await nextMessage(child)) as EngineAnswer;
    if ('error' in answer) throw new Error(`${args[0]}: ${answer.error}\n${question.sql}`);
    return answer;
  };
  return { ask, pid: () => child.pid ?? 0 };
}

/** @throws when the process ends instead */
async function nextMessage(child: ChildProcess): Promise<unknown> {
  const ended = new AbortController();
  const { signal } = ended;
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([message]) => message as unknown),
      once(child, 'exit', { signal }).then(() => Promise.reject(new Error('the engine has ended'))),
    ]);
  } finally {
    ended.abort();
  }
}
