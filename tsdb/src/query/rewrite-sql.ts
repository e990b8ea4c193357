/**
 * Functions that people of this field type from memory and DuckDB does not have, as what it does have. On the tree of a
 * statement, before it is run; the guard looks at both.
 *
 * | written                                   | becomes                                                          |
 * |-------------------------------------------|------------------------------------------------------------------|
 * | `last(value, time)`, `first(value, time)` | `arg_max`, `arg_min`                                             |
 * | `date_bin(width, time[, origin])`         | `time_bucket`                                                    |
 * | `from latest('table')`                    | the newest row of every series                                   |
 * | `time_bucket_gapfill(width, time)`        | see `rewrite-gapfill.ts`                                         |
 * | `lttb(time, value, count)`                | see `lttb.ts`                                                    |
 * | `x ILIKE pattern`, where that is quicker  | `lower(x) LIKE lower(pattern)`, see `like-patterns.ts`           |
 * | `x.function(y)`                           | `function(x, y)`, which is what is looked at                     |
 */
import { quoteName } from '../delta/sql-text.js';
import type { Snapshot } from '../delta/snapshot.js';
import { isSlowIlike } from './like-patterns.js';
import { isLttb, rewriteLttb } from './lttb.js';
import { mergedTags } from './merge-partials.js';
import { newestDatabase } from './newest-rows.js';
import { isGapfill, rewriteGapfill } from './rewrite-gapfill.js';
import {
  callOf,
  isNode,
  latestLabel,
  nameAt,
  nodesAt,
  nodeAt,
  type ParseSelect,
  type SqlNode,
} from './sql-tree.js';

/** The name as a table's, or undefined where there is none: the guard has said so then. */
export type FindNamed = (label: string) => Snapshot | undefined;

/** @returns the same tree where nothing of the above is in it */
export async function rewriteSql(root: SqlNode, parse: ParseSelect, find: FindNamed): Promise<SqlNode> {
  return (await rewrite(root, parse, find)) as SqlNode;
}

async function rewrite(value: unknown, parse: ParseSelect, find: FindNamed): Promise<unknown> {
  if (Array.isArray(value)) return await rewriteAll(value, parse, find);
  if (!isNode(value)) return value;
  const entries = Object.entries(value);
  const parts = await rewriteAll(
    entries.map(([, part]) => part),
    parse,
    find,
  );
  const isSame = entries.every(([, part], index) => part === parts[index]);
  const node = isSame ? value : Object.fromEntries(entries.map(([name], index) => [name, parts[index]]));
  if (node['type'] === 'SELECT_NODE' && isGapfill(node)) return await rewriteGapfill(node, parse);
  if (node['type'] === 'TABLE_FUNCTION') return await rewriteLatest(node, parse, find);
  return isLttb(node) ? await rewriteLttb(node, parse) : rewriteCall(node);
}

async function rewriteAll(
  values: readonly unknown[],
  parse: ParseSelect,
  find: FindNamed,
): Promise<readonly unknown[]> {
  const parts: unknown[] = [];
  for (const value of values) parts.push(await rewrite(value, parse, find));
  return parts.every((part, index) => part === values[index]) ? values : parts;
}

const renamed: Readonly<Record<string, string>> = { first: 'arg_min', last: 'arg_max' };

function rewriteCall(node: SqlNode): SqlNode {
  if (node['class'] !== 'FUNCTION' && node['class'] !== 'WINDOW') return node;
  const name = nameAt(node, 'function_name');
  if (node['class'] === 'FUNCTION' && isDotCall(node)) return rewriteCall(withReceiver(node));
  const children = nodesAt(node, 'children');
  const other = renamed[name];
  if (other !== undefined && children.length === 2) return { ...node, function_name: other };
  if (isSlowIlike(node))
    return { ...node, function_name: name.slice(0, -1), children: children.map(inLowerCase) };
  if (name === 'date_bin') return { ...node, function_name: 'time_bucket' };
  return node;
}

/** Functions are in one schema; where another one is named, DuckDB takes it for a column: `device.upper()`. */
function isDotCall(node: SqlNode): boolean {
  const [catalog, schema] = [nameAt(node, 'catalog'), nameAt(node, 'schema')];
  return schema !== '' && !(schema === 'main' && (catalog === '' || catalog === 'system'));
}

/** So that what looks at calls sees its first argument. */
function withReceiver(node: SqlNode): SqlNode {
  const column_names = [node['catalog'], node['schema']].filter((name) => name !== '' && name !== undefined);
  const { query_location } = node;
  const column = { class: 'COLUMN_REF', type: 'COLUMN_REF', alias: '', query_location, column_names };
  return { ...node, catalog: '', schema: '', children: [column, ...nodesAt(node, 'children')] };
}

/** What DuckDB does with both sides of ILIKE. */
function inLowerCase(child: SqlNode): SqlNode {
  return callOf('lower', [child], child['query_location']);
}

async function rewriteLatest(node: SqlNode, parse: ParseSelect, find: FindNamed): Promise<SqlNode> {
  const label = latestLabel(node);
  const snapshot = label === undefined ? undefined : find(label);
  if (snapshot === undefined) return node;
  const { table } = snapshot.name;
  // Partials of a window are merged before anything is chosen, and no register knows them.
  const database = snapshot.aggregate ? snapshot.name.database : newestDatabase(snapshot.name.database);
  const tags = mergedTags(snapshot.columns).map(({ name }) => `r.${quoteName(name)}`);
  const grouped = tags.length > 0 ? `GROUP BY ${tags.join(', ')}` : 'HAVING count(*) > 0';
  const select = `SELECT unnest(arg_max(r, r.time)) FROM ${quoteName(database)}.${quoteName(table)} AS r ${grouped}`;
  const from = nodeAt(await parse(`SELECT * FROM (${select}) AS latest`), 'from_table') ?? {};
  return {
    ...from,
    alias: node['alias'] || 'latest',
    sample: node['sample'],
    column_name_alias: node['column_name_alias'],
  };
}
