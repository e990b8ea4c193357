/**
 * Which columns of its tables a statement can need. Pure, and conservative: one too many does no harm, and all of them are read where
 * it is not certain.
 *
 * A name counts wherever it stands: every text of the tree is taken for the name of a column. What reads columns without naming
 * them reads all:
 *
 * 1. `*` and `COLUMNS(…)` over a table; over a subquery or a CTE they hand on what that reads.
 * 2. A table's name in place of a column, which is a struct of its row.
 * 3. `#1`, NATURAL JOIN, PIVOT, DESCRIBE, SUMMARIZE, and a table whose columns are given other names in order.
 * 4. Everything else that is not known here.
 */
import { dayColumnName, timeColumnName } from '@varve/common/contract/columns.js';
import { shownFields } from '../delta/shown-fields.js';
import type { Snapshot } from '../delta/snapshot.js';
import { quoteName } from '../delta/sql-text.js';
import { mergedColumns, mergedTags } from './merge-partials.js';
import { columnNames, isNode, nameAt, nodeAt, textsAt, type SqlNode } from './sql-tree.js';

/**
 * In lower case, names of other things among them; undefined where all may be read.
 * @param isTable whether a BASE_TABLE may be a table, also where a CTE may hide it
 */
export function findColumnNames(
  root: SqlNode,
  isTable: (node: SqlNode) => boolean,
): ReadonlySet<string> | undefined {
  const names = new Set<string>();
  const search = new ColumnSearch(names, isTable);
  search.visit(root, undefined);
  return search.readsAll || search.tableNames.some((name) => search.lastNames.has(name)) ? undefined : names;
}

const knownClasses = new Set(
  `BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA LAMBDA_REF OPERATOR PARAMETER
  STAR SUBQUERY WINDOW`
    .trim()
    .split(/\s+/),
);
const knownTypes = new Set(
  `SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE CTE_NODE EMPTY SUBQUERY JOIN EXPRESSION_LIST BASE_TABLE TABLE_FUNCTION
  ORDER_MODIFIER LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER DISTINCT_MODIFIER ORDER_DEFAULT ASCENDING DESCENDING`
    .trim()
    .split(/\s+/),
);

class ColumnSearch {
  readsAll = false;
  /** Under which a row of a table can be named. */
  readonly tableNames: string[] = [];
  /** Of the references to columns. */
  readonly lastNames = new Set<string>();
  readonly #names: Set<string>;
  readonly #isTable: (node: SqlNode) => boolean;

  constructor(names: Set<string>, isTable: (node: SqlNode) => boolean) {
    this.#names = names;
    this.#isTable = isTable;
  }

  /** @param select the SELECT that it stands in */
  visit(value: unknown, select: SqlNode | undefined): void {
    if (typeof value === 'string') this.#names.add(value.toLowerCase());
    else if (Array.isArray(value)) for (const item of value) this.visit(item, select);
    else if (isNode(value)) this.#visitNode(value, select);
  }

  #visitNode(node: SqlNode, outer: SqlNode | undefined): void {
    if (typeof node['class'] === 'string') this.#look(node, node['class'], outer);
    else if (typeof node['type'] === 'string') this.#lookAtType(node, node['type']);
    const select = node['type'] === 'SELECT_NODE' ? node : outer;
    for (const part of Object.values(node)) this.visit(part, select);
  }

  #look(node: SqlNode, kind: string, select: SqlNode | undefined): void {
    this.readsAll ||= !knownClasses.has(kind);
    if (kind === 'STAR') this.readsAll ||= !select || this.#isOfTable(node, select);
    for (const name of columnNames(node)?.slice(-1) ?? []) this.lastNames.add(name);
  }

  #lookAtType(node: SqlNode, type: string): void {
    this.readsAll ||= !knownTypes.has(type) && !type.endsWith('_TYPE_INFO');
    if (type === 'JOIN') this.readsAll ||= node['ref_type'] === 'NATURAL' || nameAt(node, 'alias') !== '';
    if (type !== 'BASE_TABLE' || !this.#isTable(node)) return;
    this.readsAll ||= textsAt(node, 'column_name_alias').length > 0;
    this.tableNames.push(nameAt(node, 'alias') || nameAt(node, 'table_name'));
  }

  #isOfTable(star: SqlNode, select: SqlNode): boolean {
    const items = fromLeaves(nodeAt(select, 'from_table'));
    const relation = nameAt(star, 'relation_name');
    const own = relation === '' ? items : items.filter((item) => leafName(item) === relation);
    return own.length === 0 || own.some((item) => item['type'] === 'BASE_TABLE' && this.#isTable(item));
  }
}

function fromLeaves(node: SqlNode | undefined): SqlNode[] {
  if (node === undefined || node['type'] === 'EMPTY') return [];
  if (node['type'] !== 'JOIN') return [node];
  return [...fromLeaves(nodeAt(node, 'left')), ...fromLeaves(nodeAt(node, 'right'))];
}

function leafName(item: SqlNode): string {
  return nameAt(item, 'alias') || nameAt(item, 'table_name');
}

/**
 * Columns of data files that the table's view reads for these of its own (`table-views.ts`), in lower case: whatever stands in
 * their expressions, and what a merge of partials groups by.
 */
export function storedColumns(
  { columns, aggregate }: Snapshot,
  names: ReadonlySet<string>,
): ReadonlySet<string> {
  const shown = aggregate ? mergedColumns(columns, aggregate) : shownFields(columns);
  const read = shown.filter(({ name }) => names.has(name.toLowerCase()));
  const groups = [timeColumnName, ...mergedTags(columns).map(({ name }) => name), dayColumnName];
  const all = [...columns.tags, ...columns.fields].map(({ name }) => name);
  const stored = all.filter((name) => read.some(({ sql }) => sql.includes(quoteName(name))));
  const plain = [...groups, ...columns.tags.map(({ name }) => name)].filter((name) =>
    names.has(name.toLowerCase()),
  );
  return new Set([...(aggregate ? groups : []), ...plain, ...stored].map((name) => name.toLowerCase()));
}
