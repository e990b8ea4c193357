/**
 * A text of SQL as the tree that DuckDB's parser makes of it. Nothing is bound or run.
 */
import assert from 'node:assert/strict';
import type { DuckDBConnection } from '@duckdb/node-api';
import { Failure } from '@varve/common/errors.js';
import { constantOf, isNode, type SqlNode } from './sql-tree.js';

/** What `json_serialize_sql` answers. */
export interface SerializedSql {
  readonly error: boolean;
  readonly error_type?: string;
  readonly error_message?: string;
  /** Characters from 0, as text. */
  readonly position?: string;
  readonly statements?: readonly SerializedStatement[];
}

export interface SerializedStatement {
  readonly node: unknown;
  readonly named_param_map: readonly { readonly key: string }[];
}

/** Time and memory of planning grow with the square of some texts; lists of values belong into parameters. */
export const sqlBytesMax = 65_536;

/** @throws Failure `bad_param` where the text is too long, `sql_invalid` where a number is too large */
export async function serializeSql(connection: DuckDBConnection, sql: string): Promise<SerializedSql> {
  const bytes = Buffer.byteLength(sql);
  if (bytes > sqlBytesMax)
    throw new Failure('bad_param', `the SQL has ${bytes} bytes where ${sqlBytesMax} may be`, {
      hint: 'send long lists of values as parameters',
    });
  // The cast is needed: without it the parameter has no type when the function is bound.
  const reader = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql]);
  const text = String(reader.getRows()[0]?.[0]);
  // DuckDB writes the number 1e999 as Infinity, which is no JSON.
  if (/"value":-?(?:Infinity|NaN)/.test(text))
    throw new Failure('sql_invalid', 'a number is too large for a double', {
      hint: "write 'infinity'::double where that is meant",
    });
  return JSON.parse(text) as SerializedSql;
}

/** The tree of a SELECT of ours. */
export async function parseSelect(connection: DuckDBConnection, sql: string): Promise<SqlNode> {
  const [statement] = (await serializeSql(connection, sql)).statements ?? [];
  assert(isNode(statement?.node), sql);
  return statement.node;
}

/** A tree as text. */
export async function printSql(
  connection: DuckDBConnection,
  statement: SerializedStatement,
): Promise<string> {
  const tree = JSON.stringify({ error: false, statements: [statement] }, toPrinted);
  const reader = await connection.runAndReadAll('SELECT json_deserialize_sql($1::JSON)', [tree]);
  return String(reader.getRows()[0]?.[0]);
}

/**
 * A node without a place carries the largest 64-bit number, which a double does not hold. And DuckDB does not take `1000` for
 * the double that it wrote as `1000.0`.
 */
function toPrinted(name: string, value: unknown): unknown {
  if (name === 'query_location') return 0;
  if (!isNode(value) || value['class'] !== 'CONSTANT') return value;
  const { type, value: number } = (value['value'] ?? {}) as { type?: { id?: unknown }; value?: unknown };
  return type?.id === 'DOUBLE' && Number.isInteger(number)
    ? { ...constantOf(String(number), 'DOUBLE'), alias: value['alias'] }
    : value;
}

const select = 'SELECT ';

/** As DuckDB names a column that has no name of its own: there, some types are written otherwise. */
export async function printExpression(connection: DuckDBConnection, expression: SqlNode): Promise<string> {
  const node = { ...(await parseSelect(connection, `${select}1`)), select_list: [expression] };
  return (
    (await printSql(connection, { node, named_param_map: [] }))
      .slice(select.length)
      // The cast to DOUBLE of INTERVAL 1 HOUR is not one of those.
      .replaceAll(
        / AS (DATE|DOUBLE(?!\)\) AS (?:BIGINT|INTEGER)\)\))|TIMESTAMP WITH TIME ZONE)\)/g,
        ' AS "$1")',
      )
      .replaceAll(/ AS DECIMAL\((\d+),(\d+)\)\)/g, ' AS DECIMAL($1, $2))')
  );
}
