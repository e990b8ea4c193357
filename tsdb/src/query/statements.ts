/**
 * What is known of a text of SQL before it runs: that the guard lets it pass, which tables it reads, and what it demands of
 * their rows. Known texts are not parsed again: dashboards send few texts, again and again.
 *
 * What is known holds as long as the tables have the names and columns they had. Bound: `statementsMax` texts, and
 * `textBytesMax` of them; the longest unused go first.
 */
import assert from 'node:assert/strict';
import type { DuckDBConnection } from '@duckdb/node-api';
import { dayColumnName, timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import type { Snapshot } from '../delta/snapshot.js';
import { anyCondition, type Condition } from './condition.js';
import { findColumnNames, storedColumns } from './find-columns.js';
import { findReads } from './find-reads.js';
import { findLabelled, findTableOf, tableLabel } from './find-table.js';
import { mergedTags } from './merge-partials.js';
import { newestOf } from './newest-rows.js';
import { rewriteSql } from './rewrite-sql.js';
import { deserializeSql, parseSelect, serializeSql, type SerializedStatement } from './serialize-sql.js';
import { guardSql } from './sql-guard.js';
import { isNode, walkNodes, type SqlNode } from './sql-tree.js';

export interface StatementTable {
  readonly snapshot: Snapshot;
  /** Whether only the newest row of each series is asked for. */
  readonly isNewest: boolean;
  /** Of each place where it is named. */
  readonly conditions: readonly Condition[];
  /** Columns of its files that are read, in lower case; undefined: all. */
  readonly columns: ReadonlySet<string> | undefined;
}

export interface Statement {
  /** What is run: the text as it came, or what it was put into (`rewrite-sql.ts`). */
  readonly sql: string;
  /** `1`, `2`, … for `?` and `$1`; names for `$name`. */
  readonly parameterNames: readonly string[];
  readonly tables: readonly StatementTable[];
  /** Whether the same tables and parameters give the same answer. */
  readonly isRepeatable: boolean;
}

interface Known {
  readonly sql: string;
  readonly schema: string;
  readonly parameterNames: readonly string[];
  readonly isRepeatable: boolean;
  /** By the labels of its tables. */
  readonly demands: ReadonlyMap<string, Demand>;
}

type Demand = Pick<StatementTable, 'conditions' | 'columns'>;

const statementsMax = 1_000;
const textBytesMax = 4e6;

export class Statements {
  /** By text, longest unused first. */
  readonly #known = new Map<string, Known>();
  #textBytes = 0;

  /**
   * @param call how DuckDB is called where that is needed
   * @throws Failure whatever the guard refuses
   */
  async read(
    sql: string,
    database: string,
    snapshots: readonly Snapshot[],
    connection: DuckDBConnection,
    call: <T>(work: () => Promise<T>) => Promise<T>,
  ): Promise<Statement> {
    const key = `${database} ${sql}`;
    const schema = schemaOf(snapshots);
    let known = this.#known.get(key);
    if (known?.schema !== schema)
      known = { schema, ...(await call(() => learn(sql, database, snapshots, connection))) };
    this.#keep(key, known);
    const { demands, ...facts } = known;
    return { ...facts, tables: withSnapshots(demands, snapshots) };
  }

  #keep(key: string, known: Known): void {
    if (!this.#known.delete(key)) this.#textBytes += key.length;
    this.#known.set(key, known);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= statementsMax && this.#textBytes <= textBytesMax) return;
      this.#known.delete(oldest);
      this.#textBytes -= oldest.length;
    }
  }
}

async function learn(
  sql: string,
  database: string,
  snapshots: readonly Snapshot[],
  connection: DuckDBConnection,
): Promise<Omit<Known, 'schema'>> {
  const serialized = await serializeSql(connection, sql);
  const { parameterNames, tables } = guardSql(sql, serialized, snapshots, database);
  const root = serialized.statements?.[0]?.node;
  assert(isNode(root));
  const find = (label: string) => findLabelled(snapshots, label, database);
  const rewritten = await rewriteSql(root, (text) => parseSelect(connection, text), find);
  const facts = { parameterNames, isRepeatable: isRepeatable(root) };
  if (rewritten === root) return { sql, ...facts, demands: demandsOf(root, tables, snapshots, database) };
  const [statement] = serialized.statements ?? [];
  const text = await deserializeSql(connection, {
    error: false,
    statements: [{ ...statement, node: rewritten } as SerializedStatement],
  });
  // What is run has passed the guard as well, to which newest rows are tables of their own now.
  const all = [...snapshots, ...snapshots.map(newestOf)];
  const { tables: read } = guardSql(text, await serializeSql(connection, text), all, database);
  return { sql: text, ...facts, demands: demandsOf(rewritten, read, all, database) };
}

/** Found once per state of the catalog. */
const schemas = new WeakMap<readonly Snapshot[], string>();

function schemaOf(snapshots: readonly Snapshot[]): string {
  let schema = schemas.get(snapshots);
  if (schema === undefined) {
    schema = JSON.stringify(snapshots.map(({ name, columns, aggregate }) => [name, columns, aggregate]));
    schemas.set(snapshots, schema);
  }
  return schema;
}

function demandsOf(
  root: SqlNode,
  tables: readonly Snapshot[],
  snapshots: readonly Snapshot[],
  database: string,
): Map<string, Demand> {
  const find = (node: SqlNode) => findTableOf(node, snapshots, database);
  const reads = findReads(root, find, shownTypes);
  const names = findColumnNames(root, (node) => find(node) !== undefined);
  return new Map(
    tables.map((table) => {
      const conditions = reads.filter((read) => read.table === table).map(({ condition }) => condition);
      return [tableLabel(table), { conditions, columns: names && storedColumns(table, names) }];
    }),
  );
}

/** A table that the guard lets pass and that no read names is read whole: `planRows` wants a condition. */
function withSnapshots(
  demands: ReadonlyMap<string, Demand>,
  snapshots: readonly Snapshot[],
): StatementTable[] {
  const read = (label: string, snapshot: Snapshot, isNewest: boolean): StatementTable[] => {
    const found = demands.get(label);
    if (found === undefined) return [];
    return found.conditions.length > 0
      ? [{ snapshot, isNewest, ...found }]
      : [{ snapshot, isNewest, conditions: [anyCondition], columns: undefined }];
  };
  return snapshots.flatMap((snapshot) => [
    ...read(tableLabel(snapshot), snapshot, false),
    ...read(tableLabel(newestOf(snapshot)), snapshot, true),
  ]);
}

/** Types that matter where columns are compared. What is shown of fields may be otherwise; nothing is decided by them. */
export function shownTypes({ columns }: Snapshot): ReadonlyMap<string, string> {
  return new Map([
    ...columns.fields.map(({ name }): [string, string] => [name, '']),
    ...columns.tags.map(({ name }): [string, string] => [name, 'tag']),
    [timeColumnName, 'time'],
    [dayColumnName, 'day'],
  ]);
}

/** Tags by which files can be passed over. */
export function prunableTags(columns: TableColumns): ReadonlySet<string> {
  return new Set(mergedTags(columns).map(({ name }) => name));
}

const changingFunctions = new Set(
  `now current_localtime current_localtimestamp get_current_time get_current_timestamp today transaction_timestamp age ago
  random gen_random_uuid uuid uuidv4 uuidv7 reservoir_quantile current_date current_timestamp current_time localtime
  localtimestamp`
    .trim()
    .split(/\s+/),
);

function isRepeatable(root: unknown): boolean {
  let repeatable = true;
  walkNodes(root, (node) => {
    const names = [node['function_name'], ...((node['column_names'] as unknown[] | undefined) ?? [])];
    if (names.some((name) => changingFunctions.has(String(name).toLowerCase()))) repeatable = false;
    if (node['sample']) repeatable = false;
    return repeatable;
  });
  return repeatable;
}
