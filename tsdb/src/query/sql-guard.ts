/**
 * The door for SQL, which is hostile until proven otherwise: one SELECT over the tables there are, and nothing else.
 *
 * 1. DuckDB's own parser turns the text into a tree (`json_serialize_sql`), so that what is checked is what will run. It
 *    takes SELECT statements only: COPY, ATTACH, SET, PRAGMA and the like end here.
 * 2. The tree must hold exactly one statement.
 * 3. Every node is visited, wherever it hangs. A kind of node that is not known to be harmless is refused, and so is a
 *    function that is not in `allowed-functions.ts`.
 * 4. What it makes of small values must stay small (`value-size.ts`).
 * 5. Its patterns must end in time (`like-patterns.ts`): whoever calls this looks at them, in what will run.
 * 6. A table must be one that the snapshot has, or a CTE in scope. Neither can be a file: the names of both are plain
 *    identifiers, and DuckDB takes only names with a dot or a slash for files.
 *
 * What comes out: the tables that the statement may read, perhaps one too many where a CTE hides one.
 */
import { Failure } from '@varve/common/errors.js';
import { identifierPattern } from '@varve/common/contract/names.js';
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import type { Snapshot } from '../delta/snapshot.js';
import { allowedFunctions, allowedTableFunctions, isAllowedFunction } from './allowed-functions.js';
import { findLabelled, findTableOf, tableNotFound } from './find-table.js';
import { nearestName } from '@varve/common/nearest-name.js';
import { latestLabel } from './sql-tree.js';
import { sqlBytesMax, type SerializedSql, type SerializedStatement } from './serialize-sql.js';
import { positionOfByte, positionOfCharacter } from './text-position.js';
import { checkValueSizes } from './value-size.js';

export interface GuardedSql {
  readonly tables: readonly Snapshot[];
  /** `1`, `2`, … for `?` and `$1`; names for `$name`. */
  readonly parameterNames: readonly string[];
}

/**
 * @param database where tables are that stand without one
 * @param ownFunctions that are allowed besides, in what has been put into other words here
 * @throws Failure `sql_syntax`, `sql_not_allowed`, `sql_invalid`, `table_not_found`, `memory_limit_exceeded`
 */
export function guardSql(
  sql: string,
  serialized: SerializedSql,
  snapshots: readonly Snapshot[],
  database = defaultDatabase,
  ownFunctions: ReadonlySet<string> = new Set(),
): GuardedSql {
  const statement = onlyStatement(sql, serialized);
  const walk = new TreeWalk(sql, snapshots, database, ownFunctions);
  walk.visit(statement.node, new Set());
  checkValueSizes(statement.node, (node) => placeOf(sql, node));
  return { tables: [...walk.tables], parameterNames: statement.named_param_map.map(({ key }) => key) };
}

const oneSelectHint = 'send one SELECT; the tables change only through what agents ship';

function onlyStatement(sql: string, serialized: SerializedSql): SerializedStatement {
  if (serialized.error) throw parseFailure(sql, serialized);
  const [statement, ...others] = serialized.statements ?? [];
  if (statement === undefined)
    throw new Failure('sql_syntax', 'there is no statement in the text', { hint: oneSelectHint });
  if (others.length > 0)
    throw new Failure('sql_not_allowed', `there are ${others.length + 1} statements where one may be`, {
      hint: oneSelectHint,
    });
  return statement;
}

function parseFailure(sql: string, { error_type, error_message = '', position }: SerializedSql): Failure {
  if (error_type !== 'not implemented')
    return new Failure('sql_syntax', error_message, {
      facts: position === undefined ? {} : { ...positionOfCharacter(sql, Number(position)) },
    });
  return error_message.startsWith('Only SELECT')
    ? new Failure('sql_not_allowed', 'only a SELECT may be sent', { hint: oneSelectHint })
    : new Failure('sql_invalid', error_message);
}

type TreeNode = Readonly<Record<string, unknown>>;
type Scope = ReadonlySet<string>;

/** Kinds of nodes that say nothing by themselves: their parts are visited. */
const harmlessTypes = new Set(
  `SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE CTE_NODE EMPTY SUBQUERY JOIN EXPRESSION_LIST PIVOT
  ORDER_MODIFIER LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER DISTINCT_MODIFIER ORDER_DEFAULT ASCENDING DESCENDING`
    .trim()
    .split(/\s+/),
);
const harmlessClasses = new Set(
  `BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA LAMBDA_REF OPERATOR PARAMETER
  POSITIONAL_REFERENCE STAR SUBQUERY WINDOW`
    .trim()
    .split(/\s+/),
);

class TreeWalk {
  readonly tables = new Set<Snapshot>();
  readonly #sql: string;
  readonly #snapshots: readonly Snapshot[];
  readonly #database: string;
  readonly #ownFunctions: ReadonlySet<string>;

  constructor(
    sql: string,
    snapshots: readonly Snapshot[],
    database: string,
    ownFunctions: ReadonlySet<string>,
  ) {
    this.#sql = sql;
    this.#snapshots = snapshots;
    this.#database = database;
    this.#ownFunctions = ownFunctions;
  }

  /** `scope` holds the names of the CTEs that can be seen here, in lower case. */
  visit(value: unknown, scope: Scope): void {
    if (Array.isArray(value)) for (const item of value) this.visit(item, scope);
    else if (typeof value === 'object' && value !== null) this.#visitNode(value as TreeNode, scope);
  }

  #visitNode(node: TreeNode, scope: Scope): void {
    if (typeof node['class'] === 'string') this.#checkExpression(node, node['class']);
    else if (node['type'] === 'BASE_TABLE') this.#checkTable(node, scope);
    else if (node['type'] === 'SHOW_REF') this.#checkShow(node);
    else if (node['type'] === 'TABLE_FUNCTION') {
      this.#visitTableFunction(node, scope);
      return;
    } else this.#checkType(node);
    this.#visitParts(node, scope);
  }

  #visitParts(node: TreeNode, outer: Scope): void {
    const scope = withCtes(node, outer);
    for (const part of Object.values(node)) this.visit(part, scope);
  }

  #checkExpression(node: TreeNode, expressionClass: string): void {
    if (!harmlessClasses.has(expressionClass))
      throw this.#refusal(node, `${expressionClass.toLowerCase()} expressions are not allowed`);
    const name = node['function_name'];
    if (typeof name !== 'string') return;
    const lower = name.toLowerCase();
    if (!isAllowedFunction(lower) && !this.#ownFunctions.has(lower))
      throw this.#functionRefusal(node, name, allowedFunctions);
  }

  /** Types of values and of types appear under `type` too: as objects, or with an ending of their own. */
  #checkType(node: TreeNode): void {
    const { type } = node;
    if (typeof type !== 'string' || harmlessTypes.has(type) || type.endsWith('_TYPE_INFO')) return;
    throw this.#refusal(node, `${type.toLowerCase().replaceAll('_', ' ')} is not allowed`);
  }

  #visitTableFunction(node: TreeNode, scope: Scope): void {
    const call = node['function'] as TreeNode;
    const name = String(call['function_name']);
    if (call['class'] !== 'FUNCTION' || !allowedTableFunctions.has(name.toLowerCase()))
      throw this.#functionRefusal(node, name, allowedTableFunctions);
    if (name.toLowerCase() === 'latest') this.#checkLatest(node);
    this.#visitParts(call, scope);
    this.#visitParts({ ...node, function: undefined }, scope);
  }

  /** DESCRIBE and SUMMARIZE of a query are queries; the others show what is inside DuckDB. */
  #checkShow(node: TreeNode): void {
    const { query, show_type } = node;
    if (query && (show_type === 'DESCRIBE' || show_type === 'SUMMARY')) return;
    throw this.#refusal(node, 'SHOW is not allowed', 'GET /api/v1/tables lists the tables');
  }

  #checkTable(node: TreeNode, scope: Scope): void {
    const [catalog, schema, table] = [node['catalog_name'], node['schema_name'], node['table_name']].map(
      String,
    );
    if (node['at_clause'] !== null) throw this.#refusal(node, 'AT is not allowed');
    const snapshot = findTableOf(node, this.#snapshots, this.#database);
    const isCte = !catalog && !schema && scope.has(table?.toLowerCase() ?? '');
    if (snapshot) this.tables.add(snapshot);
    else if (!isCte) throw this.#missingTable(node);
  }

  /** Its table stands as text, so that it can be looked for. */
  #checkLatest(node: TreeNode): void {
    const label = latestLabel(node);
    if (label === undefined)
      throw this.#refusal(node, 'latest takes the name of a table as text', "such as latest('environment')");
    const snapshot = findLabelled(this.#snapshots, label, this.#database);
    if (snapshot === undefined) throw tableNotFound(label, this.#snapshots, this.#place(node));
    this.tables.add(snapshot);
  }

  #missingTable(node: TreeNode): Failure {
    const wanted = ['catalog_name', 'schema_name', 'table_name']
      .map((part) => String(node[part]))
      .filter((part) => part !== '')
      .join('.');
    return tableNotFound(wanted, this.#snapshots, this.#place(node));
  }

  #functionRefusal(node: TreeNode, name: string, allowed: ReadonlySet<string>): Failure {
    const nearest = nearestName(name.toLowerCase(), allowed);
    return new Failure('sql_not_allowed', `there is no function ${name} that queries may use`, {
      ...(nearest === undefined ? {} : { hint: `did you mean ${nearest}?` }),
      facts: { ...this.#place(node), ...(nearest === undefined ? {} : { did_you_mean: [nearest] }) },
    });
  }

  #refusal(node: TreeNode, message: string, hint = oneSelectHint): Failure {
    return new Failure('sql_not_allowed', message, { hint, facts: this.#place(node) });
  }

  #place(node: TreeNode): Readonly<Record<string, unknown>> {
    return placeOf(this.#sql, node);
  }
}

/** What a failure says of where it is. */
export function placeOf(
  sql: string,
  { query_location: offset }: TreeNode,
): Readonly<Record<string, unknown>> {
  // Nodes without a place carry the largest 64-bit number.
  return typeof offset === 'number' && offset < sqlBytesMax ? { ...positionOfByte(sql, offset) } : {};
}

/**
 * The scope inside a node with CTEs. A CTE is taken to be visible to its elder siblings too, which it is not: DuckDB says
 * so then, and no name without a dot can lead it elsewhere.
 */
function withCtes(node: TreeNode, outer: Scope): Scope {
  const entries = (node['cte_map'] as { map?: { key: string }[] } | undefined)?.map ?? [];
  const plain = entries.map(({ key }) => key.toLowerCase()).filter((name) => identifierPattern.test(name));
  return plain.length === 0 ? outer : new Set([...outer, ...plain]);
}
