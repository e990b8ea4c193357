/**
 * The statements that a slot has prepared, to be run again: dashboards send few texts, and planning one takes as long as
 * many an answer.
 *
 * DuckDB binds a statement anew whenever a view of its catalog was made since, and, because it reads Parquet, for every run
 * (`MultiFileBindData` refuses to be kept): so what is kept never shows other files than the slot's variables name, and what
 * is saved is the second time. Only repeatable statements are kept, for whatever else a plan may have taken for constant, and
 * only those that read a table: the plan of another is run again as it is, which DuckDB 1.5.6 does not survive where it is that
 * of an ASOF join.
 *
 * Bound: `statementsMax` of a slot, the longest unused go first. Each holds one file open, the template of its first table.
 */
import type { DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api';

export const statementsMax = 16;

export class PreparedStatements {
  readonly #connection: DuckDBConnection;
  /** By the schema that stands for tables without one, and text; longest unused first. */
  readonly #kept = new Map<string, DuckDBPreparedStatement>();

  constructor(connection: DuckDBConnection) {
    this.#connection = connection;
  }

  /** @param key from `statementKey` */
  has(key: string): boolean {
    return this.#kept.has(key);
  }

  /** The one that is kept, or a new one, which is kept from now on. */
  async keep(database: string, sql: string): Promise<DuckDBPreparedStatement> {
    const key = statementKey(database, sql);
    const prepared = this.#kept.get(key) ?? (await this.#connection.prepare(sql));
    this.#kept.delete(key);
    this.#kept.set(key, prepared);
    const [oldest] = this.#kept;
    if (oldest && this.#kept.size > statementsMax) this.#drop(...oldest);
    return prepared;
  }

  forget(database: string, sql: string): void {
    const key = statementKey(database, sql);
    const prepared = this.#kept.get(key);
    if (prepared) this.#drop(key, prepared);
  }

  #drop(key: string, prepared: DuckDBPreparedStatement): void {
    this.#kept.delete(key);
    prepared.destroySync();
  }
}

export function statementKey(database: string, sql: string): string {
  return `${database} ${sql}`;
}
