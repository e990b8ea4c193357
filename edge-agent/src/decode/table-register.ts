/**
 * The tables the agent has: those of the configuration, those it has shipped, those in its windows. A message may make a new
 * one (`table: "{kind}"`) while they are fewer than the stream's `max_tables`.
 *
 * What has been shipped comes from the log's database, and windows are read again from the log: so after a kill the same
 * messages are taken and refused as without it.
 */
import { Refusal } from './decoder.js';

export interface TableName {
  readonly database: string;
  readonly table: string;
}

export class TableRegister {
  readonly #tables = new Map<string, Set<string>>();
  readonly #taken: readonly TableName[];

  /** `taken` are tables that no message may choose. */
  constructor(known: Iterable<TableName>, taken: readonly TableName[]) {
    this.#taken = taken;
    for (const name of known) if (!this.#isTaken(name)) this.add(name);
  }

  has({ database, table }: TableName): boolean {
    return this.#tables.get(database)?.has(table) === true;
  }

  add({ database, table }: TableName): void {
    let tables = this.#tables.get(database);
    if (!tables) {
      tables = new Set();
      this.#tables.set(database, tables);
    }
    tables.add(table);
  }

  /** Why there is no such table to be, if it may not; `newTables` others are to be made with it. */
  check(name: TableName, tablesMax: number, newTables: number): Refusal | undefined {
    const { database, table } = name;
    if (this.#isTaken(name))
      return new Refusal('table_taken', `table ${table} is the agent's own: no message may choose it`);
    if (this.has(name)) return undefined;
    const count = (this.#tables.get(database)?.size ?? 0) + newTables;
    if (count < tablesMax) return undefined;
    const limit = `the agent has ${count} tables in database ${database}, and max_tables is ${tablesMax}`;
    return new Refusal('too_many_tables', `no table ${table} is made: ${limit}`);
  }

  #isTaken({ database, table }: TableName): boolean {
    return this.#taken.some((one) => one.database === database && one.table === table);
  }
}
