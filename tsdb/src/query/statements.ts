/**
 * What is known of a text of SQL before it runs: that the guard lets it pass, which tables it reads, and what it demands of
 * their rows. Known texts are not parsed again: dashboards send few texts, again and again.
 *
 * What is known holds as long as the tables have the names and columns they had. Bound: `statementsMax` texts, and
 * `textBytesMax` of them; the longest unused go first.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { DuckDBConnection } from '@duckdb/node-api';
import { dayColumnName, timeColumnName, type TableColumns } from '@varve/common/contract/columns.js';
import type { Snapshot } from '../delta/snapshot.js';
import { boundingFunctions, boundTexts } from './bound-texts.js';
import { anyCondition, type Condition } from './condition.js';
import { findCountName } from './counted-rows.js';
import { findColumnNames, storedColumns } from './find-columns.js';
import { findReads } from './find-reads.js';
import { findLabelled, findTableOf, tableLabel } from './find-table.js';
import { checkPatterns, type OpenPattern } from './like-patterns.js';
import { mergedTags } from './merge-partials.js';
import { newestOf } from './newest-rows.js';
import { rewriteSql } from './rewrite-sql.js';
import {
  parseSelect,
  printExpression,
  printSql,
  serializeSql,
  type SerializedStatement,
} from './serialize-sql.js';
import { guardSql, placeOf } from './sql-guard.js';
import { isNode, walkNodes, type SqlNode } from './sql-tree.js';
import { quickenTimes } from './time-columns.js';

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
  /** What is run: the text as it came, or what it was put into (`rewrite-sql.ts`, `quick-times.ts`). */
  readonly sql: string;
  /** Before it was made quick: what is run where DuckDB does not take that, and says what is wrong with what was written. */
  readonly plainSql: string;
  /** `1`, `2`, … for `?` and `$1`; names for `$name`. */
  readonly parameterNames: readonly string[];
  /** Must pass `checkOpenPatterns` with the parameters. */
  readonly patterns: readonly OpenPattern[];
  /** What is run instead where that says so. */
  readonly bounded: Statement | undefined;
  /** As in `counted-rows.ts`. */
  readonly countName: string | undefined;
  readonly tables: readonly StatementTable[];
  /** Whether the same tables and parameters give the same answer. */
  readonly isRepeatable: boolean;
}

interface Known {
  readonly sql: string;
  readonly plainSql: string;
  readonly parameterNames: readonly string[];
  readonly patterns: readonly OpenPattern[];
  readonly boundedSql: string | undefined;
  readonly countName: string | undefined;
  readonly isRepeatable: boolean;
  /** By the labels of its tables. */
  readonly demands: ReadonlyMap<string, Demand>;
}

type Demand = Pick<StatementTable, 'conditions' | 'columns'>;

const statementsMax = 1_000;
const textBytesMax = 4e6;

export class Statements {
  /** By text and what tables look like to who asks, longest unused first. */
  readonly #known = new Map<string, Known>();
  /**
   * By state of the catalog: the same object as long as the tables are the same, by which others know it again. Goes with that
   * state, whose tables may have a million files each.
   */
  readonly #read = new WeakMap<readonly Snapshot[], WeakMap<Known, Statement>>();
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
    // Two tokens may see other tables of the same names.
    const key = `${schemaOf(snapshots)} ${database} ${sql}`;
    const known = this.#known.get(key) ?? (await call(() => learn(sql, database, snapshots, connection)));
    this.#keep(key, known);
    return this.#of(known, snapshots);
  }

  #of(known: Known, snapshots: readonly Snapshot[]): Statement {
    const read = this.#read.get(snapshots) ?? new WeakMap<Known, Statement>();
    this.#read.set(snapshots, read);
    const statement = read.get(known) ?? statementOf(known, snapshots);
    read.set(known, statement);
    return statement;
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

function statementOf({ boundedSql, demands, ...facts }: Known, snapshots: readonly Snapshot[]): Statement {
  const statement = { ...facts, tables: withSnapshots(demands, snapshots), bounded: undefined };
  return boundedSql === undefined
    ? statement
    : { ...statement, bounded: { ...statement, sql: boundedSql, plainSql: boundedSql } };
}

async function learn(
  sql: string,
  database: string,
  snapshots: readonly Snapshot[],
  connection: DuckDBConnection,
): Promise<Known> {
  const serialized = await serializeSql(connection, sql);
  const { parameterNames, tables } = guardSql(sql, serialized, snapshots, database);
  const root = serialized.statements?.[0]?.node;
  assert(isNode(root));
  const find = (label: string) => findLabelled(snapshots, label, database);
  const parse = (text: string) => parseSelect(connection, text);
  const rewritten = await rewriteSql(root, parse, find);
  const patterns = checkPatterns(rewritten, (node) => placeOf(sql, node));
  const countName = await findCountName(root, parse);
  const facts = { parameterNames, patterns, countName, isRepeatable: isRepeatable(root) };
  // What is run has passed the guard as well, to which newest rows are tables of their own now.
  const all = [...snapshots, ...snapshots.map(newestOf)];
  const toText = async (node: SqlNode) => {
    const [statement] = serialized.statements ?? [];
    const text = await printSql(connection, { ...statement, node } as SerializedStatement);
    const tree = await serializeSql(connection, text);
    return { text, ...guardSql(text, tree, all, database, boundingFunctions) };
  };
  const print = (expression: SqlNode) => printExpression(connection, expression);
  const boundFor = async (areParamsLong: boolean) =>
    await boundTexts(rewritten, { parse, print, areParamsLong });
  const bound = await boundFor(false);
  const plain = bound === root ? { text: sql, tables } : await toText(bound);
  const boundedSql = patterns.length > 0 ? (await toText(await boundFor(true))).text : undefined;
  const toQuick = async () => {
    const columnsOf = (node: SqlNode) => columnsAt(findTableOf(node, all, database));
    const quick = await quickenTimes(bound, { columnsOf, print });
    return quick === bound ? plain : await toText(quick);
  };
  // It is longer than what was written, perhaps too long.
  const run = await toQuick().catch(() => plain);
  const demands = demandsOf(rewritten, plain.tables, all, database);
  return { sql: run.text, plainSql: plain.text, boundedSql, ...facts, demands };
}

function columnsAt(table: Snapshot | undefined): readonly string[] | undefined {
  return table && [...shownTypes(table).keys()].map((name) => name.toLowerCase());
}

/** Found once per state of the catalog. */
const schemas = new WeakMap<readonly Snapshot[], string>();

function schemaOf(snapshots: readonly Snapshot[]): string {
  let schema = schemas.get(snapshots);
  if (schema === undefined) {
    const shapes = snapshots.map(({ name, columns, aggregate }) => [name, columns, aggregate]);
    schema = createHash('sha256').update(JSON.stringify(shapes)).digest('base64url');
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
