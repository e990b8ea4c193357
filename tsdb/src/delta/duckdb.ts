/**
 * DuckDB in process, as the writers of data files use it: in memory, with bounds, nothing fetched from anywhere.
 *
 * 1. One instance; every piece of work has a session, with temporary tables that end with it.
 * 2. What cannot be kept in memory spills to `tempDir`, up to a bound.
 * 3. Failures that come from this machine rather than from the data are transient `Failure`s. All others are
 *    `SqlError`s: who knows what was being read knows what they mean.
 * 4. An internal error of DuckDB makes its instance unusable for good; the next session opens another one.
 */
import { DuckDBInstance, ResultReturnType, type DuckDBConnection, type DuckDBValue } from '@duckdb/node-api';
import { Failure, messageOf } from '@varve/common/errors.js';

export interface DuckDbOptions {
  readonly tempDir: string;
  readonly memoryBytesMax: number;
  readonly tempBytesMax: number;
  readonly threads: number;
}

export type Row = Readonly<Record<string, DuckDBValue>>;

/** What DuckDB found wrong with a statement, or with the files that it reads. */
export class SqlError extends Error {
  override readonly name = 'SqlError';
}

/** One connection. Statements run one after another. */
export interface Session {
  /** @returns the number of rows that an INSERT or COPY wrote */
  run(sql: string): Promise<number>;
  /** For results of a few rows: all of them are held here. Longs are bigint. */
  rows(sql: string): Promise<readonly Row[]>;
  /** For results of any length, by batches; each row's values are in the order of the columns. */
  stream(sql: string): AsyncGenerator<readonly (readonly DuckDBValue[])[]>;
}

export class DuckDb {
  readonly #options: DuckDbOptions;
  #instance: Promise<DuckDBInstance> | undefined;

  constructor(options: DuckDbOptions) {
    this.#options = options;
  }

  async withSession<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    this.#instance ??= openInstance(this.#options);
    const instance = this.#instance;
    const connection = await (await instance).connect();
    try {
      await connection.run("SET TimeZone = 'UTC'");
      return await work(toSession(connection, () => this.#abandon(instance)));
    } finally {
      connection.closeSync();
    }
  }

  /** The instance is freed when its last session ends. */
  #abandon(instance: Promise<DuckDBInstance>): void {
    if (this.#instance === instance) this.#instance = undefined;
  }

  /** No session may be open. */
  async close(): Promise<void> {
    const instance = await this.#instance;
    this.#instance = undefined;
    instance?.closeSync();
  }
}

async function openInstance(options: DuckDbOptions): Promise<DuckDBInstance> {
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(options.threads),
    memory_limit: `${options.memoryBytesMax}B`,
    temp_directory: options.tempDir,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    // It knows a file again by path, size and second of change: too little for files that are written a moment ago.
    enable_external_file_cache: 'false',
  });
  const connection = await instance.connect();
  // Given when the instance is made, DuckDB 1.5.6 shows it and does not heed it.
  await connection.run(`SET GLOBAL max_temp_directory_size = '${options.tempBytesMax}B'`);
  connection.closeSync();
  return instance;
}

function toSession(connection: DuckDBConnection, onInstanceLost: () => void): Session {
  const guard = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work;
    } catch (error) {
      if (instanceLost.test(messageOf(error))) onInstanceLost();
      throw toMachineFailure(error) ?? new SqlError(messageOf(error), { cause: error });
    }
  };
  return {
    run: async (sql) => (await guard(connection.run(sql))).rowsChanged,
    rows: async (sql) => (await guard(connection.runAndReadAll(sql))).getRowObjects(),
    async *stream(sql) {
      const result = await guard(connection.stream(sql));
      let isOpen = true;
      try {
        for (;;) {
          const chunk = await guard(result.fetchChunk());
          if (chunk === null || chunk.rowCount === 0) break;
          yield chunk.getRows();
        }
        isOpen = false;
        // The bindings hand out no error for a failure on the way, and the end looks the same but for this.
        if (result.returnType === ResultReturnType.INVALID)
          throw new SqlError('the statement failed after its first rows');
      } finally {
        // The next statement of a connection ends the one before.
        if (isOpen) await guard(connection.run('SELECT 1'));
      }
    },
  };
}

const instanceLost = /INTERNAL Error|FATAL Error|database has been invalidated/;

/** DuckDB has no codes for these. An internal error is not among them: what was being read may have caused it. */
const machineFailures = [
  [/No space left on device|max_temp_directory_size/i, 'disk_full', 'make room in data_dir'],
  [/Out of Memory Error/i, 'overloaded', 'give it more memory, or less at a time'],
  [/Too many open files|FATAL Error|database has been invalidated/i, 'overloaded', undefined],
  [
    /Cannot open file|No files found|Input\/output error|Permission denied|Read-only file system/i,
    'data_dir_unusable',
    'look after data_dir; it may be deleted at any time, and it is made again',
  ],
] as const;

function toMachineFailure(cause: unknown): Failure | undefined {
  const message = messageOf(cause);
  for (const [pattern, code, hint] of machineFailures)
    if (pattern.test(message))
      return new Failure(code, message, { cause, ...(hint !== undefined && { hint }) });
  return undefined;
}
