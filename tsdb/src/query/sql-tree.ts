/**
 * Nodes of the tree that `json_serialize_sql` makes, read without trusting their shape.
 */

export type SqlNode = Readonly<Record<string, unknown>>;

export function isNode(value: unknown): value is SqlNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The member as a node, or undefined. */
export function nodeAt(node: SqlNode, name: string): SqlNode | undefined {
  const value = node[name];
  return isNode(value) ? value : undefined;
}

export function nodesAt(node: SqlNode, name: string): readonly SqlNode[] {
  const value = node[name];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

export function textsAt(node: SqlNode, name: string): readonly string[] {
  const value = node[name];
  return Array.isArray(value) ? value.map(String) : [];
}

/** In lower case, as names are compared; empty where there is none. */
export function nameAt(node: SqlNode, name: string): string {
  const value = node[name];
  return typeof value === 'string' ? value.toLowerCase() : '';
}

/** A statement inside another one: `{node: …}`. */
export function queryAt(node: SqlNode, name: string): SqlNode | undefined {
  const statement = nodeAt(node, name);
  return statement && nodeAt(statement, 'node');
}

/** The parts of a column's name, in lower case: `["e", "time"]`. Undefined where it is no column. */
export function columnNames(node: SqlNode): readonly string[] | undefined {
  return node['class'] === 'COLUMN_REF'
    ? textsAt(node, 'column_names').map((name) => name.toLowerCase())
    : undefined;
}

/** Name and arguments of a call. Undefined where it is none, or one with anything besides. */
export function plainCall(node: SqlNode): { name: string; args: readonly SqlNode[] } | undefined {
  if (node['class'] !== 'FUNCTION' || node['filter'] || node['distinct'] === true) return undefined;
  return { name: nameAt(node, 'function_name'), args: nodesAt(node, 'children') };
}

/** A call of a function. */
export function callOf(name: string, args: readonly SqlNode[], location: unknown = 0): SqlNode {
  return {
    class: 'FUNCTION',
    type: 'FUNCTION',
    alias: '',
    query_location: location,
    function_name: name,
    schema: '',
    children: args,
    filter: null,
    order_bys: { type: 'ORDER_MODIFIER', orders: [] },
    distinct: false,
    is_operator: false,
    export_state: false,
    catalog: '',
  };
}

/** A constant, written as text. */
export function constantOf(text: string, type: string): SqlNode {
  const value = { type: { id: 'VARCHAR', type_info: null }, is_null: false, value: text };
  return {
    class: 'CAST',
    type: 'OPERATOR_CAST',
    alias: '',
    query_location: 0,
    child: { class: 'CONSTANT', type: 'VALUE_CONSTANT', alias: '', query_location: 0, value },
    cast_type: { id: type, type_info: null },
    try_cast: false,
  };
}

/** The expression and the type it is cast to, `TIMESTAMP WITH TIME ZONE`. */
export function castOf(node: SqlNode): { child: SqlNode; type: string } | undefined {
  const child = nodeAt(node, 'child');
  const type = nodeAt(node, 'cast_type')?.['id'];
  return node['class'] === 'CAST' && child && typeof type === 'string' ? { child, type } : undefined;
}

/** Every node below, `root` itself included. Stops below where `enter` says false. */
export function walkNodes(root: unknown, enter: (node: SqlNode) => boolean): void {
  if (Array.isArray(root)) for (const item of root) walkNodes(item, enter);
  else if (isNode(root) && enter(root)) for (const part of Object.values(root)) walkNodes(part, enter);
}

/** The text that stands in `latest('…')`. */
export function latestLabel(node: SqlNode): string | undefined {
  const call = plainCall(nodeAt(node, 'function') ?? {});
  const literal = call?.args[0] && nodeAt(call.args[0], 'value');
  return call?.name === 'latest' && call.args.length === 1 && typeof literal?.['value'] === 'string'
    ? literal['value'].toLowerCase()
    : undefined;
}

/** With expressions in place of columns of these names. */
export function replaceColumns(value: unknown, found: Readonly<Record<string, unknown>>): unknown {
  if (Array.isArray(value)) return value.map((item) => replaceColumns(item, found));
  if (!isNode(value)) return value;
  const [name, ...others] = value['class'] === 'COLUMN_REF' ? (value['column_names'] as string[]) : [];
  if (name !== undefined && others.length === 0 && Object.hasOwn(found, name)) return found[name];
  return Object.fromEntries(
    Object.entries(value).map(([member, part]) => [member, replaceColumns(part, found)]),
  );
}

/** Gives the tree of a SELECT. */
export type ParseSelect = (sql: string) => Promise<SqlNode>;
