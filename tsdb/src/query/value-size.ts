/**
 * How large the values are that a statement makes. DuckDB counts what it keeps of rows against its memory limit, but not values on
 * their way from one function to the next, and a call under way cannot be interrupted: `repeat('x', 4000000000)` took 4 GB beside a
 * limit of 200 MB, and 33 s.
 *
 * So a statement is refused before it runs where the values of one row could come to more than `rowBytesMax`; DuckDB has 2,048 rows
 * under way at a time. The tree is walked once, with a number of bytes for every expression: a value of a table counts
 * `storedBytes`, a function makes of its arguments what `value-size-rules.ts` says, a column of a CTE or subquery is as large as the
 * largest one there, and what stands in a lambda counts for every item of the list.
 *
 * It does not see stored values that are large, and what `list` or `string_agg` gather from many rows: such a value, joined to many
 * rows and changed in each, still is memory that nobody counts.
 */
import { Failure } from '@varve/common/errors.js';
import { isSmallMaker } from './allowed-functions.js';
import { isNode, nameAt, nodeAt, nodesAt, textsAt, type SqlNode } from './sql-tree.js';
import { bytesMade, castBytes, constantBytes, itemBytes, numberBytes } from './value-size-rules.js';

/** Of texts that are made on the way from one row of a table to its answer, all together. */
export const rowBytesMax = 65_536;
const storedBytes = 16;
const parameterBytes = 64;
/** What a recursive CTE is taken to hand to its next round, and how much larger a round may make it. */
const roundBytes = 256;
const roundGrowthMax = 4;
/** `*columns(*)` stands for all columns of a table. */
const columnsMax = 64;
/** A lambda is looked at up to three times, and one in it as often each time. */
const lambdaDepthMax = 3;

interface Scope {
  /** Of the largest column in sight. */
  readonly columnBytes: number;
  readonly ctes: ReadonlyMap<string, number>;
  /** Aliases of the same SELECT, and what lambdas call their parameters. */
  readonly names: ReadonlyMap<string, number>;
  /** How often an expression is worked out for one row. */
  readonly times: number;
  readonly lambdaDepth: number;
}

/**
 * @param place what a failure says of where it is
 * @throws Failure `memory_limit_exceeded`, `sql_not_allowed`
 */
export function checkValueSizes(
  root: unknown,
  place: (node: SqlNode) => Readonly<Record<string, unknown>>,
): void {
  const start = { columnBytes: storedBytes, ctes: new Map(), names: new Map(), times: 1, lambdaDepth: 0 };
  new SizeWalk(place).visit(root, start);
}

class SizeWalk {
  readonly #place: (node: SqlNode) => Readonly<Record<string, unknown>>;
  #rowBytes = 0;
  /** What was found last: walking the arguments again for every call around them would take for ever. */
  readonly #seen = new WeakMap<SqlNode, number>();

  constructor(place: (node: SqlNode) => Readonly<Record<string, unknown>>) {
    this.#place = place;
  }

  /** @returns the bytes of the largest value in it */
  visit(value: unknown, outer: Scope): number {
    if (Array.isArray(value)) return Math.max(0, ...value.map((item) => this.visit(item, outer)));
    if (!isNode(value)) return 0;
    if (typeof value['class'] === 'string') {
      const bytes = this.#expression(value, outer);
      this.#seen.set(value, bytes);
      return bytes;
    }
    const scope = this.#withCtes(value, outer);
    switch (value['type']) {
      case 'SELECT_NODE':
        return this.#select(value, scope);
      case 'JOIN':
        return this.#join(value, scope);
      case 'PIVOT':
        return this.#over(value, 'source', scope);
      case 'BASE_TABLE':
        return Math.max(storedBytes, scope.ctes.get(nameAt(value, 'table_name')) ?? 0);
      case 'TABLE_FUNCTION':
        return this.#tableFunction(nodeAt(value, 'function') ?? {}, scope);
      default:
        return this.visit(partsOf(value, ['cte_map']), scope);
    }
  }

  #withCtes(node: SqlNode, outer: Scope): Scope {
    const entries = nodesAt(nodeAt(node, 'cte_map') ?? {}, 'map');
    if (entries.length === 0) return outer;
    const ctes = new Map(outer.ctes);
    const scope = { ...outer, ctes };
    for (const entry of entries) {
      const query = nodeAt(nodeAt(nodeAt(entry, 'value') ?? {}, 'query') ?? {}, 'node') ?? {};
      const name = nameAt(entry, 'key');
      if (query['type'] === 'RECURSIVE_CTE_NODE') this.#recursive(name, query, scope, ctes);
      else ctes.set(name, this.visit(query, scope));
    }
    return scope;
  }

  /** What a round makes of the one before is let through where it can be stopped in time: between two rounds. */
  #recursive(name: string, query: SqlNode, outer: Scope, ctes: Map<string, number>): void {
    const scope = this.#withCtes(query, outer);
    const before = Math.max(roundBytes, this.visit(query['left'], scope));
    ctes.set(name, before);
    const bytes = this.visit(query['right'], { ...scope, ctes: new Map(scope.ctes).set(name, before) });
    if (bytes > roundGrowthMax * before)
      throw this.#tooLarge(query, `every round of ${name} makes its texts or lists much larger`);
    ctes.set(name, Math.max(before, bytes));
  }

  /** Its rows come one after another, however many they are. */
  #tableFunction(call: SqlNode, scope: Scope): number {
    const bytes = this.visit(call['children'], scope);
    return nameAt(call, 'function_name').startsWith('json') ? 4 * bytes : bytes;
  }

  #select(node: SqlNode, outer: Scope): number {
    const names = new Map(outer.names);
    const columnBytes = Math.max(outer.columnBytes, this.visit(node['from_table'], outer));
    const scope = { ...outer, columnBytes, names };
    let largest = 0;
    for (const item of nodesAt(node, 'select_list')) {
      const bytes = this.visit(item, scope);
      const alias = nameAt(item, 'alias');
      if (alias !== '') names.set(alias, Math.max(columnBytes, bytes));
      largest = Math.max(largest, bytes);
    }
    this.visit(partsOf(node, ['cte_map', 'from_table', 'select_list']), scope);
    return largest;
  }

  /** The right side may look at the columns of the left one. */
  #join(node: SqlNode, scope: Scope): number {
    const left = this.visit(node['left'], scope);
    const right = this.visit(node['right'], { ...scope, columnBytes: Math.max(scope.columnBytes, left) });
    const columnBytes = Math.max(scope.columnBytes, left, right);
    this.visit(partsOf(node, ['left', 'right', 'cte_map']), { ...scope, columnBytes });
    return Math.max(left, right);
  }

  #over(node: SqlNode, source: string, scope: Scope): number {
    const bytes = this.visit(node[source], scope);
    const columnBytes = Math.max(scope.columnBytes, bytes);
    return Math.max(bytes, this.visit(partsOf(node, [source, 'cte_map']), { ...scope, columnBytes }));
  }

  #expression(node: SqlNode, scope: Scope): number {
    switch (node['class']) {
      case 'CONSTANT':
        return constantBytes(node);
      case 'COLUMN_REF':
        return columnBytesOf(node, scope);
      case 'POSITIONAL_REFERENCE':
        return scope.columnBytes;
      case 'PARAMETER':
        return parameterBytes;
      case 'STAR':
        return Math.max(scope.columnBytes, this.visit(partsOf(node, []), scope));
      case 'CAST':
        return this.#add(node, castBytes(node, this.visit(node['child'], scope)), scope);
      case 'LAMBDA':
        // No lambda, but `json -> path`.
        return this.visit(node['lhs'], scope) + this.visit(node['expr'], scope);
      case 'FUNCTION':
      case 'WINDOW':
        return this.#call(node, scope);
      default: {
        const bytes = Math.max(numberBytes, this.visit(partsOf(node, []), scope));
        return node['type'] === 'OPERATOR_UNPACK' ? columnsMax * bytes : bytes;
      }
    }
  }

  #call(node: SqlNode, scope: Scope): number {
    const name = nameAt(node, 'function_name');
    const nodes = nodesAt(node, 'children');
    this.visit(partsOf(node, ['children']), scope);
    const [list, lambda, initial] = nodes;
    if (list && lambda?.['class'] === 'LAMBDA' && lambdaFunctions.has(name))
      return this.#add(node, this.#eachItem(node, list, lambda, initial, scope), scope);
    const bytes = nodes.map((argument) => this.visit(argument, scope));
    const bytesOf = (part: SqlNode) => this.#seen.get(part) ?? Number.POSITIVE_INFINITY;
    const made = bytesMade({ name, nodes, bytes, bytesOf }, isSmallMaker(name));
    if (made === undefined) throw this.#unbounded(node, name);
    return this.#add(node, made, scope);
  }

  /** Of a body that makes of two items together as much as of each, `body(list) - body(nothing)` is what all items add. */
  #eachItem(
    node: SqlNode,
    list: SqlNode,
    lambda: SqlNode,
    initial: SqlNode | undefined,
    scope: Scope,
  ): number {
    if (scope.lambdaDepth >= lambdaDepthMax)
      throw new Failure('sql_not_allowed', `lambdas stand in each other more than ${lambdaDepthMax} deep`, {
        facts: this.#place(node),
      });
    const listBytes = this.visit(list, scope);
    const initialBytes = initial ? this.visit(initial, scope) : 0;
    const items = Math.max(1, listBytes / numberBytes);
    const [first = '', second = '', ...others] = parametersOf(lambda);
    const name = nameAt(node, 'function_name');
    const isReduce = reduceFunctions.has(name);
    const body = (firstBytes: number, secondBytes: number, times: number) => {
      const own = [first, firstBytes, second, secondBytes] as const;
      const names = new Map(scope.names).set(own[0], own[1]).set(own[2], own[3]);
      for (const other of others) names.set(other, numberBytes);
      const lambdaDepth = scope.lambdaDepth + 1;
      return this.visit(lambda['expr'], { ...scope, names, lambdaDepth, times: scope.times * times });
    };
    if (!isReduce) {
      const none = body(0, numberBytes, items);
      const rest = body(listBytes, numberBytes, 1) - none;
      return filterFunctions.has(name) ? listBytes : items * none + rest;
    }
    const none = body(0, 0, items);
    const rest = body(0, listBytes, 1) - none;
    const added = items * none + rest;
    // What has been made so far goes in once, or it doubles with every item.
    const before = added + initialBytes + listBytes;
    if (body(before, listBytes, 1) > before + none + rest + itemBytes)
      throw this.#tooLarge(node, `${name} makes its value larger with every item`);
    return added + initialBytes;
  }

  #add(node: SqlNode, bytes: number, scope: Scope): number {
    if (bytes <= itemBytes) return bytes;
    this.#rowBytes += bytes * scope.times;
    if (this.#rowBytes > rowBytesMax)
      throw this.#tooLarge(
        node,
        `a row of the query could need ${readableBytes(this.#rowBytes)} of texts and lists, and may need 64 KB`,
      );
    return bytes;
  }

  #tooLarge(node: SqlNode, message: string): Failure {
    return new Failure('memory_limit_exceeded', message, {
      hint: 'make shorter texts and lists; rows of range(…) and generate_series(…) in FROM are not counted',
      facts: this.#place(node),
    });
  }

  #unbounded(node: SqlNode, name: string): Failure {
    const hints: Readonly<Record<string, string>> = {
      range: 'write it in FROM, where it makes rows one after another: from range(…) as r(x)',
      generate_series:
        'write it in FROM, where it makes rows one after another: from generate_series(…) as r(x)',
      format: 'write the format as one text, with widths in it as numbers',
      printf: 'write the format as one text, with widths in it as numbers',
    };
    return new Failure('sql_not_allowed', `how much ${name} would make cannot be told before it runs`, {
      hint: hints[name] ?? 'say how much it may be at most: a number, or such as least(x, 100)',
      facts: this.#place(node),
    });
  }
}

const reduceFunctions = new Set(['list_reduce', 'array_reduce', 'reduce']);
const filterFunctions = new Set(['list_filter', 'array_filter', 'filter']);
const transformFunctions = ['list_transform', 'array_transform', 'list_apply', 'array_apply', 'apply'];
const lambdaFunctions = new Set([...reduceFunctions, ...filterFunctions, ...transformFunctions]);

/** `x`, or `row(x, index)`. */
function parametersOf(lambda: SqlNode): string[] {
  const lhs = nodeAt(lambda, 'lhs') ?? {};
  const columns = lhs['class'] === 'COLUMN_REF' ? [lhs] : nodesAt(lhs, 'children');
  return columns.map((column) => textsAt(column, 'column_names')[0]?.toLowerCase() ?? '');
}

function columnBytesOf(node: SqlNode, { columnBytes, names }: Scope): number {
  const [first = '', ...others] = textsAt(node, 'column_names').map((name) => name.toLowerCase());
  const named = names.get(first);
  // A table may have the same name.
  return others.length > 0 ? Math.max(columnBytes, named ?? 0) : (named ?? columnBytes);
}

function partsOf(node: SqlNode, others: readonly string[]): unknown[] {
  return Object.entries(node).flatMap(([name, part]) => (others.includes(name) ? [] : [part]));
}

function readableBytes(bytes: number): string {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} KB` : `${Math.round(bytes / 1e6)} MB`;
}
