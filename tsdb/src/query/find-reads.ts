/**
 * Which tables a statement reads, and what it demands of their rows: conditions of WHERE and ON, pushed through
 * subqueries, CTEs and unions down to each place where a table is named. Pure; the answer must not depend on it.
 *
 * A condition goes down only where rows that fail it cannot matter:
 *
 * | through                    | goes down                                                                       |
 * |----------------------------|---------------------------------------------------------------------------------|
 * | WHERE                      | to every table joined, also below outer joins (condition.ts says why)           |
 * | ON                         | to the sides that the join does not keep anyway                                 |
 * | the right of an ASOF join  | not: without the best match there would be another one                          |
 * | POSITIONAL joins, samples  | not: rows would be paired or picked otherwise                                   |
 * | a subquery or CTE          | columns that it hands through; not past LIMIT, DISTINCT ON, windows, samples    |
 * | GROUP BY                   | columns that it groups by, which are the only ones that it hands through        |
 * | UNION, INTERSECT, EXCEPT   | not: types of both sides are made one, and text is compared otherwise than times |
 * | anything else              | not                                                                             |
 *
 * A table that is named where nothing above looks is read whole, and so are all tables of a statement that is too nested.
 */
import type { Snapshot } from '../delta/snapshot.js';
import { allOf, anyCondition, renameColumns, type Condition } from './condition.js';
import { findCondition } from './find-comparison.js';
import { fromItems, type FromItem } from './from-items.js';
import { columnNames, nameAt, nodeAt, nodesAt, queryAt, walkNodes, type SqlNode } from './sql-tree.js';

/** One place where a table is named. */
export interface TableRead {
  readonly table: Snapshot;
  readonly condition: Condition;
}

/** CTEs are followed wherever they are named; past that, everything is read whole. */
const visitsMax = 1_000;

/** What a name in FROM that is no table can be. Opaque: nothing is known. */
export type Cte = { readonly query: SqlNode; readonly scope: CteScope } | 'opaque';
export type CteScope = ReadonlyMap<string, Cte>;

/**
 * @param findTable the table that a BASE_TABLE means unless a CTE hides it
 * @param columnsOf types of its columns by name; one too many does no harm but for time, day and tags
 */
export function findReads(
  root: SqlNode,
  findTable: (node: SqlNode) => Snapshot | undefined,
  columnsOf: (table: Snapshot) => ReadonlyMap<string, string>,
): TableRead[] {
  const search = new ReadSearch(findTable, columnsOf);
  search.visitQuery(root, new Map(), anyCondition);
  search.readRest(root);
  return search.isTooNested
    ? search.reads.map(({ table }) => ({ table, condition: anyCondition }))
    : search.reads;
}

interface ItemColumn {
  readonly items: readonly FromItem[];
  readonly name: string;
}

class ReadSearch {
  readonly reads: TableRead[] = [];
  readonly #findTable: (node: SqlNode) => Snapshot | undefined;
  readonly #columnsOf: (table: Snapshot) => ReadonlyMap<string, string>;
  readonly #seen = new Set<SqlNode>();
  #visits = 0;

  constructor(
    findTable: (node: SqlNode) => Snapshot | undefined,
    columnsOf: (table: Snapshot) => ReadonlyMap<string, string>,
  ) {
    this.#findTable = findTable;
    this.#columnsOf = columnsOf;
  }

  get isTooNested(): boolean {
    return this.#visits >= visitsMax;
  }

  /** @param wanted what is demanded of the rows of this query, by the names of its columns */
  visitQuery(node: SqlNode, outer: CteScope, wanted: Condition): void {
    this.#visits += 1;
    if (this.isTooNested) return;
    const scope = withCtes(node, outer);
    if (node['type'] === 'SELECT_NODE') this.#visitSelect(node, scope, wanted);
    else {
      const itself = node['type'] === 'RECURSIVE_CTE_NODE' ? nameAt(node, 'cte_name') : '';
      const inner = itself === '' ? scope : new Map([...scope, [itself, 'opaque'] as const]);
      for (const side of ['left', 'right']) this.visitQuery(nodeAt(node, side) ?? {}, inner, anyCondition);
    }
  }

  #visitSelect(node: SqlNode, scope: CteScope, wanted: Condition): void {
    const items = fromItems(nodeAt(node, 'from_table') ?? {}, (item) => this.#outputOf(item, scope));
    const find = (names: readonly string[]) => findColumn(items, names);
    const where = findCondition(nodeAt(node, 'where_clause'), find);
    const handed = this.#handThrough(node, wanted, items, find);
    for (const item of items) {
      const own = item.ons.map((on) => findCondition(on, find));
      const condition = item.isOpaque ? anyCondition : onlyOf(item, allOf([where, handed, ...own]));
      this.#visitItem(item.node, scope, condition);
    }
    this.#visitSubqueries(node, scope);
  }

  #handThrough(
    node: SqlNode,
    wanted: Condition,
    items: readonly FromItem[],
    find: (names: readonly string[]) => ItemColumn | undefined,
  ): Condition<ItemColumn> {
    if (wanted.kind === 'any' || cutsRows(node)) return anyCondition;
    return renameColumns(wanted, (name) => {
      const source = sourceOf(node, name, items.length === 1);
      return source && find(source);
    });
  }

  #visitItem(item: SqlNode, scope: CteScope, condition: Condition): void {
    const query = queryAt(item, 'subquery');
    if (item['type'] === 'SUBQUERY' && query) this.visitQuery(query, scope, condition);
    else if (item['type'] === 'BASE_TABLE') this.#visitTable(item, scope, condition);
    else this.#visitSubqueries(item, scope);
  }

  #visitTable(item: SqlNode, scope: CteScope, condition: Condition): void {
    this.#seen.add(item);
    const cte = cteOf(item, scope);
    if (cte === undefined) this.#read(item, condition);
    else if (cte !== 'opaque') this.visitQuery(cte.query, cte.scope, condition);
  }

  #read(item: SqlNode, condition: Condition): void {
    const table = this.#findTable(item);
    if (table) this.reads.push({ table, condition });
  }

  /** Queries inside expressions, and whatever else holds some: on their own. */
  #visitSubqueries(node: SqlNode, scope: CteScope): void {
    const elsewhere = node['type'] === 'SELECT_NODE' ? ['from_table', 'cte_map'] : [];
    const parts = Object.entries(node).filter(([name]) => !elsewhere.includes(name));
    walkNodes(
      parts.map(([, value]) => value),
      (part) => {
        if (part['type'] === 'BASE_TABLE') this.#visitTable(part, scope, anyCondition);
        const isQuery = ['SELECT_NODE', 'SET_OPERATION_NODE', 'RECURSIVE_CTE_NODE'].includes(
          String(part['type']),
        );
        if (isQuery) this.visitQuery(part, scope, anyCondition);
        return !isQuery;
      },
    );
  }

  /** Tables named where nobody looked. */
  readRest(root: SqlNode): void {
    walkNodes(root, (node) => {
      if (node['type'] === 'BASE_TABLE' && (this.isTooNested || !this.#seen.has(node)))
        this.#read(node, anyCondition);
      return true;
    });
  }

  /** Names of the columns of an item of FROM; undefined where they are not known. */
  #outputOf(item: SqlNode, scope: CteScope): ReadonlyMap<string, string> | undefined {
    if (item['type'] === 'SUBQUERY') {
      const query = queryAt(item, 'subquery');
      const names = query && outputNames(query);
      return names && new Map(names.map((name) => [name ?? '', '']));
    }
    if (item['type'] !== 'BASE_TABLE' || cteOf(item, scope) !== undefined) return undefined;
    const table = this.#findTable(item);
    return table && this.#columnsOf(table);
  }
}

function onlyOf(item: FromItem, condition: Condition<ItemColumn>): Condition {
  return renameColumns(condition, ({ items, name }) => (items.includes(item) ? name : undefined));
}

/** The items whose column it is: one, or several where USING makes them one. */
function findColumn(items: readonly FromItem[], names: readonly string[]): ItemColumn | undefined {
  const name = names.at(-1) ?? '';
  if (names.length === 1) {
    if (isMerged(items, name)) return { items, name };
    const having = items.filter(({ columns }) => columns === undefined || columns.has(name));
    return having.length === 1 && (items.length === 1 || having[0]?.columns)
      ? { items: having, name }
      : undefined;
  }
  const named = items.filter((item) =>
    names.length === 2 ? item.name === names[0] : !item.hasAlias && item.name === names[1],
  );
  if (names.length === 3 && items.some((item) => item.name === names[0])) return undefined;
  return named.length === 1 && names.length <= 3 ? { items: named, name } : undefined;
}

/** Of one type everywhere: a tag and a number are compared otherwise. */
function isMerged(items: readonly FromItem[], name: string): boolean {
  const types = new Set(
    items.map(({ columns, using }) => (using.has(name) ? columns?.get(name) : undefined)),
  );
  return items.length > 1 && types.size === 1 && Boolean([...types][0]);
}

function cteOf(item: SqlNode, scope: CteScope): Cte | undefined {
  return nameAt(item, 'schema_name') || nameAt(item, 'catalog_name')
    ? undefined
    : scope.get(nameAt(item, 'table_name'));
}

/** Each CTE sees those before it. One that renames its columns is opaque. */
function withCtes(node: SqlNode, outer: CteScope): CteScope {
  const scope = new Map(outer);
  const entries = nodesAt(nodeAt(node, 'cte_map') ?? {}, 'map');
  for (const entry of entries) {
    const value = nodeAt(entry, 'value') ?? {};
    const query = queryAt(value, 'query');
    const isPlain = nodesAt(value, 'key_targets').length === 0 && !hasItems(value, 'aliases');
    scope.set(nameAt(entry, 'key'), query && isPlain ? { query, scope: new Map(scope) } : 'opaque');
  }
  return scope;
}

function hasItems(node: SqlNode, name: string): boolean {
  const value = node[name];
  return Array.isArray(value) && value.length > 0;
}

/** Rows would be others if some were missing below. */
function cutsRows(node: SqlNode): boolean {
  const cuts = nodesAt(node, 'modifiers').some(
    (modifier) =>
      modifier['type'] !== 'ORDER_MODIFIER' &&
      (modifier['type'] !== 'DISTINCT_MODIFIER' || hasItems(modifier, 'distinct_on_targets')),
  );
  const sets = node['group_sets'];
  return (
    cuts ||
    Boolean(node['sample'] ?? node['qualify']) ||
    (Array.isArray(sets) && sets.length > 1) ||
    hasWindow(node)
  );
}

function hasWindow(node: SqlNode): boolean {
  let found = false;
  walkNodes(node['select_list'], (part) => {
    found ||= part['class'] === 'WINDOW';
    return !found;
  });
  return found;
}

/** Names of a query's columns: undefined for those without a plain one, or for all behind a `*`. */
function outputNames(query: SqlNode): (string | undefined)[] | undefined {
  const list = nodesAt(query, 'select_list');
  if (query['type'] !== 'SELECT_NODE' || list.some(({ class: kind }) => kind === 'STAR')) return undefined;
  return list.map(outputName);
}

export function outputName(item: SqlNode): string | undefined {
  return nameAt(item, 'alias') || columnNames(item)?.at(-1);
}

/** The column inside a SELECT that its column `name` hands through as it is. */
function sourceOf(select: SqlNode, name: string, isOneItem: boolean): readonly string[] | undefined {
  const list = nodesAt(select, 'select_list');
  const named = list.filter((item) => item['class'] !== 'STAR' && outputName(item) === name);
  const stars = list.filter((item) => item['class'] === 'STAR');
  if (named.length === 1 && stars.length === 0) return named[0] && columnNames(named[0]);
  const [star] = stars;
  if (named.length > 0 || stars.length !== 1 || !star || !isPlainStar(star)) return undefined;
  if (star['relation_name']) return [nameAt(star, 'relation_name'), name];
  // Of several, columns with one name are renamed.
  return isOneItem ? [name] : undefined;
}

export function isPlainStar(star: SqlNode): boolean {
  return (
    star['columns'] === false &&
    !star['expr'] &&
    ['exclude_list', 'replace_list', 'qualified_exclude_list', 'rename_list'].every(
      (part) => !hasItems(star, part),
    )
  );
}
