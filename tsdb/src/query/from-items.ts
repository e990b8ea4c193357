/**
 * FROM as a flat list of what it joins, each with the conditions of ON that may be held against it alone. Pure.
 */
import { nameAt, nodeAt, textsAt, type SqlNode } from './sql-tree.js';

export interface FromItem {
  readonly node: SqlNode;
  /** The alias, or the table's own name. */
  readonly name: string;
  readonly hasAlias: boolean;
  /** Types of its columns by name in lower case; undefined where they are not known. */
  readonly columns: ReadonlyMap<string, string> | undefined;
  /** Nothing may be demanded of its rows. */
  isOpaque: boolean;
  readonly ons: SqlNode[];
  /** Columns that USING joins on, of inner joins. */
  readonly using: Set<string>;
}

export function fromItems(
  node: SqlNode,
  columnsOf: (item: SqlNode) => ReadonlyMap<string, string> | undefined,
): FromItem[] {
  if (node['type'] === 'EMPTY' || node['type'] === undefined) return [];
  if (node['type'] !== 'JOIN') return [leaf(node, columnsOf)];
  const left = fromItems(nodeAt(node, 'left') ?? {}, columnsOf);
  const right = fromItems(nodeAt(node, 'right') ?? {}, columnsOf);
  limit(node, left, right);
  return [...left, ...right];
}

function leaf(
  node: SqlNode,
  columnsOf: (item: SqlNode) => ReadonlyMap<string, string> | undefined,
): FromItem {
  const alias = nameAt(node, 'alias');
  const columns = columnsOf(node);
  const isRenamed = textsAt(node, 'column_name_alias').length > 0;
  return {
    node,
    name: alias || nameAt(node, 'table_name'),
    hasAlias: alias !== '',
    columns: isRenamed ? undefined : columns,
    isOpaque: isRenamed || Boolean(node['sample']) || Boolean(node['at_clause']),
    ons: [],
    using: new Set(),
  };
}

/** Sides whose rows a join drops when ON is not true for them. */
const droppedSides: Readonly<Record<string, { left: boolean; right: boolean }>> = {
  INNER: { left: true, right: true },
  LEFT: { left: false, right: true },
  RIGHT: { left: true, right: false },
  SEMI: { left: false, right: true },
  ANTI: { left: false, right: true },
};

function limit(join: SqlNode, left: readonly FromItem[], right: readonly FromItem[]): void {
  const [joinType, kind] = [String(join['join_type']), String(join['ref_type'])];
  const isKnown = ['REGULAR', 'CROSS', 'NATURAL', 'DEPENDENT', 'ASOF'].includes(kind);
  const isAsof = kind === 'ASOF';
  if (!isKnown || nameAt(join, 'alias') || join['sample']) setOpaque([...left, ...right]);
  else if (isAsof) setOpaque(['INNER', 'LEFT'].includes(joinType) ? right : [...left, ...right]);
  const on = nodeAt(join, 'condition');
  const dropped = droppedSides[joinType];
  if (on && dropped && !isAsof) {
    for (const item of dropped.left ? left : []) item.ons.push(on);
    for (const item of dropped.right ? right : []) item.ons.push(on);
  }
  const isInner = joinType === 'INNER' && kind === 'REGULAR';
  for (const name of isInner ? textsAt(join, 'using_columns') : [])
    for (const item of [...left, ...right]) item.using.add(name.toLowerCase());
}

function setOpaque(items: readonly FromItem[]): void {
  for (const item of items) item.isOpaque = true;
}
