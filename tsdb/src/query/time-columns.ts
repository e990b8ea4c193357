/**
 * Puts functions of times into their quick form (`quick-times.ts`) wherever it is certain that they are given a table's `time`.
 * The answer is the same, names of columns included.
 *
 * Certain is a name that FROM gives to the `time` of a table, of a subquery or of a CTE that hands it on, and that no column of the
 * list bears whose value is another one. All else stays as it is written.
 */
import { timeColumnName } from '@varve/common/contract/columns.js';
import { isPlainStar, outputName } from './find-reads.js';
import { quickForm, roundedTime, type IsTime } from './quick-times.js';
import { columnNames, isNode, nameAt, nodeAt, nodesAt, queryAt, textsAt, type SqlNode } from './sql-tree.js';

/** By name in lower case: whether a column is a time. */
type Columns = ReadonlyMap<string, boolean>;
/** Undefined: nothing is known of the columns. */
type Ctes = ReadonlyMap<string, Columns | undefined>;

interface Query {
  readonly node: SqlNode;
  readonly columns?: Columns | undefined;
}

/** What stands in FROM between joins. */
interface Leaf {
  /** The alias, or the table's own name. */
  readonly name: string;
  readonly columns: Columns | undefined;
}

export interface TimeColumnsOptions {
  /** Names of the columns of a BASE_TABLE that no CTE hides, in lower case; undefined for what is no table. */
  readonly columnsOf: (node: SqlNode) => readonly string[] | undefined;
  /** The text of an expression, by which DuckDB names a column that has no name. */
  readonly print: (expression: SqlNode) => Promise<string>;
}

/** @returns the same tree where nothing is to be done */
export async function quickenTimes(root: SqlNode, options: TimeColumnsOptions): Promise<SqlNode> {
  return (await new Quickener(options).query(root, new Map())).node;
}

/** Where names of times may be looked at by what they are. */
const quickMembers = ['select_list', 'where_clause', 'group_expressions', 'having', 'qualify', 'modifiers'];

class Quickener {
  readonly #options: TimeColumnsOptions;
  /** What became of calls whose value is a time. */
  readonly #times = new WeakSet<SqlNode>();

  constructor(options: TimeColumnsOptions) {
    this.#options = options;
  }

  async query(node: SqlNode, outer: Ctes): Promise<Query> {
    if (node['type'] === 'SELECT_NODE') return await this.#select(...(await this.#ctes(node, outer)));
    if (node['type'] !== 'SET_OPERATION_NODE') return { node };
    const [own, ctes] = await this.#ctes(node, outer);
    const sides = await Promise.all(
      ['left', 'right'].map(async (side) => (await this.query(nodeAt(own, side) ?? {}, ctes)).node),
    );
    return { node: withMembers(own, { left: sides[0], right: sides[1] }) };
  }

  async #ctes(node: SqlNode, outer: Ctes): Promise<[SqlNode, Ctes]> {
    const ctes = new Map(outer);
    const map = nodeAt(node, 'cte_map') ?? {};
    const entries: SqlNode[] = [];
    for (const entry of nodesAt(map, 'map')) {
      const value = nodeAt(entry, 'value') ?? {};
      const statement = nodeAt(value, 'query') ?? {};
      const inner = await this.query(nodeAt(statement, 'node') ?? {}, ctes);
      const isPlain = !hasItems(value, 'key_targets') && !hasItems(value, 'aliases');
      ctes.set(nameAt(entry, 'key'), isPlain ? inner.columns : undefined);
      const query = withMembers(statement, { node: inner.node });
      entries.push(withMembers(entry, { value: withMembers(value, { query }) }));
    }
    return entries.length === 0
      ? [node, ctes]
      : [withMembers(node, { cte_map: withMembers(map, { map: sameOr(map['map'], entries) }) }), ctes];
  }

  async #select(node: SqlNode, ctes: Ctes): Promise<Query> {
    const [from, leaves] = await this.#from(nodeAt(node, 'from_table') ?? {}, ctes);
    const list = nodesAt(node, 'select_list');
    const isColumn = (expression: SqlNode) => isTimeColumn(columnNames(expression) ?? [], leaves);
    const others = new Set(
      list.filter((item) => !isTimeValue(item, isColumn)).map((item) => nameAt(item, 'alias')),
    );
    const isTime = (expression: SqlNode) => {
      const names = columnNames(expression);
      if (!names) return this.#times.has(expression);
      return isColumn(expression) && !(names.length === 1 && others.has(names[0] ?? ''));
    };
    const members: Record<string, unknown> = node['from_table'] ? { from_table: from } : {};
    for (const member of quickMembers)
      if (node[member]) members[member] = await this.#quicken(node[member], isTime, ctes);
    const quick = withMembers(node, members);
    const columns = outputColumns(list, leaves, (item) => isTimeValue(item, isColumn));
    return { node: await this.#named(node, quick), columns };
  }

  async #from(node: SqlNode, ctes: Ctes): Promise<[SqlNode, readonly Leaf[]]> {
    if (node['type'] === 'JOIN') {
      const [left, leftLeaves] = await this.#from(nodeAt(node, 'left') ?? {}, ctes);
      const [right, rightLeaves] = await this.#from(nodeAt(node, 'right') ?? {}, ctes);
      const leaves = [...leftLeaves, ...rightLeaves];
      const isPlain =
        nameAt(node, 'alias') === '' && node['join_type'] !== 'SEMI' && node['join_type'] !== 'ANTI';
      return [
        withMembers(node, { left, right }),
        isPlain ? leaves : leaves.map((leaf) => ({ ...leaf, columns: undefined })),
      ];
    }
    if (node['type'] === 'EMPTY' || node['type'] === undefined) return [node, []];
    const isRenamed = textsAt(node, 'column_name_alias').length > 0;
    const leaf = (columns: Columns | undefined) => ({
      name: nameAt(node, 'alias') || nameAt(node, 'table_name'),
      columns: isRenamed ? undefined : columns,
    });
    if (node['type'] !== 'SUBQUERY') return [node, [leaf(this.#tableColumns(node, ctes))]];
    const statement = nodeAt(node, 'subquery') ?? {};
    const inner = await this.query(nodeAt(statement, 'node') ?? {}, ctes);
    const subquery = withMembers(statement, { node: inner.node });
    return [withMembers(node, { subquery }), [leaf(inner.columns)]];
  }

  #tableColumns(node: SqlNode, ctes: Ctes): Columns | undefined {
    if (node['type'] !== 'BASE_TABLE') return undefined;
    const isQualified = nameAt(node, 'schema_name') !== '' || nameAt(node, 'catalog_name') !== '';
    const name = nameAt(node, 'table_name');
    if (!isQualified && ctes.has(name)) return ctes.get(name);
    const columns = this.#options.columnsOf(node);
    return columns && new Map(columns.map((column) => [column, column === timeColumnName]));
  }

  async #quicken(value: unknown, isTime: IsTime, ctes: Ctes): Promise<unknown> {
    if (Array.isArray(value)) {
      const items: unknown[] = [];
      for (const item of value) items.push(await this.#quicken(item, isTime, ctes));
      return sameOr(value, items);
    }
    // What an argument of a lambda is called may be the name of a column.
    if (!isNode(value) || value['class'] === 'LAMBDA') return value;
    const query = queryAt(value, 'subquery');
    const members: Record<string, unknown> = {};
    for (const [name, part] of Object.entries(value))
      members[name] =
        name === 'subquery' && query
          ? withMembers(nodeAt(value, name) ?? {}, { node: (await this.query(query, ctes)).node })
          : await this.#quicken(part, isTime, ctes);
    const node = withMembers(value, members);
    const quick = quickForm(node, isTime);
    if (quick && roundedTime(node)) this.#times.add(quick);
    return quick ?? node;
  }

  /** What had no name of its own keeps the one that DuckDB gave it. */
  async #named(written: SqlNode, quick: SqlNode): Promise<SqlNode> {
    const before = nodesAt(written, 'select_list');
    const items: SqlNode[] = [];
    for (const [index, item] of nodesAt(quick, 'select_list').entries()) {
      const old = before[index];
      const isNamed = old === undefined || old === item || nameAt(old, 'alias') !== '';
      items.push(isNamed ? item : { ...item, alias: await this.#options.print(old) });
    }
    return withMembers(quick, { select_list: sameOr(quick['select_list'], items) });
  }
}

/** `time`, or a call that rounds it. */
function isTimeValue(expression: SqlNode, isColumn: IsTime): boolean {
  if (columnNames(expression)) return isColumn(expression);
  const rounded = roundedTime(expression);
  return rounded !== undefined && isTimeValue(rounded, isColumn);
}

function isTimeColumn(names: readonly string[], leaves: readonly Leaf[]): boolean {
  const name = names.at(-1) ?? '';
  const asked =
    names.length === 1 ? leaves : leaves.filter((leaf) => names.length === 2 && leaf.name === names[0]);
  const having = asked.filter(({ columns }) => columns === undefined || columns.has(name));
  return having.length > 0 && having.every(({ columns }) => columns?.get(name) === true);
}

/** Of a SELECT: undefined where not all names are known. */
function outputColumns(
  list: readonly SqlNode[],
  leaves: readonly Leaf[],
  isTime: IsTime,
): Columns | undefined {
  const columns = new Map<string, boolean>();
  for (const item of list) {
    const isStar = item['class'] === 'STAR';
    const given = isStar && isPlainStar(item) && leaves.length === 1 ? leaves[0]?.columns : undefined;
    if (isStar && !given) return undefined;
    const name = outputName(item) ?? '';
    for (const [key, is] of given ?? [[name, isTime(item)] as const])
      columns.set(key, is && columns.get(key) !== false);
  }
  return columns;
}

function hasItems(node: SqlNode, name: string): boolean {
  const value = node[name];
  return Array.isArray(value) && value.length > 0;
}

/** The same object where all members are. */
function withMembers(node: SqlNode, members: Readonly<Record<string, unknown>>): SqlNode {
  return Object.entries(members).every(([name, value]) => node[name] === value)
    ? node
    : { ...node, ...members };
}

function sameOr(before: unknown, items: readonly unknown[]): unknown {
  return Array.isArray(before) &&
    before.length === items.length &&
    items.every((item, index) => item === before[index])
    ? before
    : items;
}
