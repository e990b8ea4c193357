/**
 * The door for the condition of a delete: hostile text that must be one expression over one table's columns.
 *
 * It is read where it will stand, as the only item of a SELECT in brackets on lines of its own, and goes through the guard of
 * queries. Then the tree must be just that: no second item, no FROM or UNION that the text brought along, and in the
 * expression no subquery, window, star or parameter. Whether its names are columns and it is true or false, DuckDB says later.
 */
import { Failure } from '@varve/common/errors.js';
import type { Snapshot } from '../delta/snapshot.js';
import { quoteName } from '../delta/sql-text.js';
import type { SerializedSql } from '../query/serialize-sql.js';
import { checkPatterns } from '../query/like-patterns.js';
import { guardSql, placeOf } from '../query/sql-guard.js';

const whereCharactersMax = 10_000;
const refusedClasses = new Set(['SUBQUERY', 'WINDOW', 'STAR', 'PARAMETER', 'POSITIONAL_REFERENCE']);
const hint = `send an expression over the table's columns, such as "device = 'dev-1' and temperature > 100"`;

type TreeNode = Readonly<Record<string, unknown>>;

/** @param serialize DuckDB's parser. @throws Failure `sql_syntax`, `sql_not_allowed`, `bad_param` */
export async function guardCondition(
  where: string,
  snapshot: Snapshot,
  serialize: (sql: string) => Promise<string>,
): Promise<void> {
  if (where.trim() === '' || where.length > whereCharactersMax)
    throw new Failure('bad_param', `where: must have 1 to ${whereCharactersMax} characters`, { hint });
  const { database, table } = snapshot.name;
  const sql = `SELECT (\n${where}\n) AS "@match" FROM ${quoteName(database)}.${quoteName(table)}`;
  const serialized = JSON.parse(await serialize(sql)) as SerializedSql;
  const { parameterNames } = guardSql(sql, serialized, [snapshot]);
  const node = serialized.statements?.[0]?.node as TreeNode;
  if (parameterNames.length > 0 || !isOneItem(node)) throw refusal('where must be one expression');
  checkPatterns(node, (part) => placeOf(sql, part));
  refuseBeyondColumns((node['select_list'] as unknown[])[0]);
}

function isOneItem(node: TreeNode): boolean {
  const { type, select_list, from_table, where_clause, having, qualify, sample } = node;
  const lists = ['modifiers', 'group_expressions', 'group_sets'].map((name) => node[name]);
  return (
    type === 'SELECT_NODE' &&
    Array.isArray(select_list) &&
    select_list.length === 1 &&
    (from_table as TreeNode)['type'] === 'BASE_TABLE' &&
    [where_clause, having, qualify, sample].every((part) => part === null) &&
    lists.every((list) => Array.isArray(list) && list.length === 0)
  );
}

function refuseBeyondColumns(part: unknown): void {
  if (typeof part !== 'object' || part === null) return;
  const expressionClass = (part as TreeNode)['class'];
  if (typeof expressionClass === 'string' && refusedClasses.has(expressionClass))
    throw refusal(`a ${expressionClass.toLowerCase().replaceAll('_', ' ')} may not be in where`);
  for (const inner of Object.values(part)) refuseBeyondColumns(inner);
}

function refusal(message: string): Failure {
  return new Failure('sql_not_allowed', message, { hint });
}
