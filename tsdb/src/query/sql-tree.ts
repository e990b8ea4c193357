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
