/**
 * Puts a look at the length of texts before calls that could take too long with them (`text-bounds.ts`). The answer is the same, names
 * of columns included, or it is the error of `isTooLongText`.
 *
 * `levenshtein(a, b)` becomes
 * `levenshtein(CASE WHEN strlen(a) * strlen(b) > 120000 THEN error('…') ELSE a END, b)`.
 */
import { Failure } from '@varve/common/errors.js';
import { hasCollation, isLongCall, isOpen, textBoundOf } from './like-patterns.js';
import {
  isNode,
  nameAt,
  nodesAt,
  replaceColumns,
  walkNodes,
  type ParseSelect,
  type SqlNode,
} from './sql-tree.js';
import {
  boundOfCall,
  isBounded,
  isFree,
  isRegexp,
  openLikeBytes,
  openTextBytes,
  type TextBound,
} from './text-bounds.js';

export interface BoundTextsOptions {
  readonly parse: ParseSelect;
  /** The text of an expression, by which DuckDB names a column that has no name. */
  readonly print: (expression: SqlNode) => Promise<string>;
  /** Whether parameters may be such that texts must be looked at for them. */
  readonly areParamsLong: boolean;
}

/** What this makes calls, and nobody else may. */
export const boundingFunctions: ReadonlySet<string> = new Set(['error']);

/** A text in such a call is in it twice. */
const depthMax = 4;
const tooLong = 'a text is too long for';

export const tooLongHint = 'shorten it before: left(note, 500); or write a shorter or simpler pattern';

/** Whether an error of DuckDB's comes from here. */
export function isTooLongText(message: string): boolean {
  return message.startsWith(tooLong);
}

/** @returns the same tree where nothing is to be done */
export async function boundTexts(root: SqlNode, options: BoundTextsOptions): Promise<SqlNode> {
  return (await new TextBounder(hasCollation(root), options).visit(root, 0)) as SqlNode;
}

class TextBounder {
  readonly #isCollated: boolean;
  readonly #options: BoundTextsOptions;

  constructor(isCollated: boolean, options: BoundTextsOptions) {
    this.#isCollated = isCollated;
    this.#options = options;
  }

  /** `depth`: in how many bounded calls it stands. */
  async visit(value: unknown, depth: number): Promise<unknown> {
    if (Array.isArray(value)) {
      const items: unknown[] = [];
      for (const item of value) items.push(await this.visit(item, depth));
      return items.every((item, index) => item === value[index]) ? value : items;
    }
    if (!isNode(value)) return value;
    const bound = this.#boundOf(value);
    if (bound && depth >= depthMax) throw tooDeep();
    const members: Record<string, unknown> = {};
    let isSame = true;
    for (const [name, part] of Object.entries(value)) {
      members[name] = await this.visit(part, bound ? depth + 1 : depth);
      if (members[name] !== part) isSame = false;
    }
    const node = isSame ? value : members;
    if (bound) return await this.#bounded(node, bound);
    return node['type'] === 'SELECT_NODE' && !isSame ? await this.#named(value, node) : node;
  }

  #boundOf(node: SqlNode): TextBound | undefined {
    const name = nameAt(node, 'function_name');
    if (node['class'] !== 'FUNCTION' || !isLongCall(name)) return undefined;
    let bound = textBoundOf(node, this.#isCollated, undefined);
    if (isOpen(node)) {
      if (!this.#options.areParamsLong) return undefined;
      bound = isBounded(name)
        ? boundOfCall({ ...node, children: [] }, undefined)
        : { ...bound, bytesMax: isRegexp(name) ? openTextBytes : openLikeBytes };
    }
    return isFree(bound) ? undefined : bound;
  }

  async #bounded(call: SqlNode, { bytesMax, productMax }: TextBound): Promise<SqlNode> {
    const [__text, __other, ...others] = nodesAt(call, 'children');
    if (!__text) return call;
    const length = (name: string) => `strlen(CAST(${name} AS VARCHAR))`;
    const conditions = [
      ...(Number.isFinite(bytesMax) ? [`${length('__text')} > ${bytesMax}`] : []),
      ...(Number.isFinite(productMax) && __other
        ? [`${length('__text')} * ${length('__other')} > ${productMax}`]
        : []),
    ];
    if (conditions.length === 0) return call;
    const most = Number.isFinite(bytesMax)
      ? `it may have ${bytesMax} bytes`
      : `its bytes times those of the other one may be ${productMax}`;
    const message = `${tooLong} ${nameOf(call)}, which nobody could end in time: here ${most}`;
    const select = await this.#options.parse(
      `SELECT CASE WHEN ${conditions.join(' OR ')} THEN error('${message}') ELSE __text END`,
    );
    const [looked] = nodesAt(select, 'select_list');
    const text = replaceColumns(looked, { __text, ...(__other && { __other }) });
    return { ...call, children: [text, ...(__other ? [__other] : []), ...others] };
  }

  /** What had no name of its own keeps the one that DuckDB gave it. */
  async #named(written: SqlNode, node: SqlNode): Promise<SqlNode> {
    const before = nodesAt(written, 'select_list');
    const items: SqlNode[] = [];
    for (const [index, item] of nodesAt(node, 'select_list').entries()) {
      const old = before[index];
      const isNamed = old === undefined || old === item || nameAt(old, 'alias') !== '' || hasStar(old);
      items.push(isNamed ? item : { ...item, alias: await this.#options.print(old) });
    }
    return { ...node, select_list: items };
  }
}

/** Of which columns come, with names of their own. */
function hasStar(root: SqlNode): boolean {
  let found = false;
  walkNodes(root, (node) => {
    if (node['class'] === 'STAR') found = true;
    return !found;
  });
  return found;
}

function nameOf(call: SqlNode): string {
  const name = nameAt(call, 'function_name');
  return /^[a-z_0-9]+$/.test(name) && !name.includes('like') ? name : 'LIKE or GLOB';
}

function tooDeep(): Failure {
  return new Failure(
    'sql_not_allowed',
    `calls with long texts stand in each other more than ${depthMax} deep`,
    {
      hint: 'put them into WITH one after another, or write simpler patterns',
    },
  );
}
