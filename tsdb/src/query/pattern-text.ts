/**
 * Patterns as text: of texts, parameters, and what joins them. Pure.
 */
import type { Params } from './bind-params.js';
import { constantValue, paramValue } from './constant-value.js';
import { castOf, nodeAt, plainCall, walkNodes, type SqlNode } from './sql-tree.js';

/** Longer ones are not put together to be looked at. */
const joinedCharactersMax = 65_536;

/**
 * The pattern as text, or, of texts that are null, an empty one. With `params` undefined they are taken for empty texts.
 * What is understood here is known to DuckDB too when it plans.
 */
export function patternText(node: SqlNode, params: Params | undefined): string | undefined {
  const textOf = (part: SqlNode) => patternText(part, params);
  const child = nodeAt(node, 'child');
  if (node['class'] === 'COLLATE' && child) return textOf(child);
  if (node['class'] === 'CONSTANT' && nodeAt(node, 'value')?.['is_null'] === true) return '';
  if (node['class'] === 'PARAMETER') return params === undefined ? '' : paramText(node, params);
  const cast = castOf(node);
  if (cast) return cast.type === 'VARCHAR' ? textOf(cast.child) : undefined;
  const { name, args } = plainCall(node) ?? { name: '', args: [] };
  if (name === '||' || name === 'concat') return joined(args.map(textOf));
  const [only] = args;
  if (caseFunctions.has(name) && only && args.length === 1) return textOf(only)?.toLowerCase();
  const constant = constantValue(node, { params: [], nowUs: 0 });
  if (constant?.kind === 'number') return String(constant.number);
  return constant?.kind === 'text' ? constant.text : undefined;
}

/** They change neither wildcards nor how many bytes there are by much. */
const caseFunctions = new Set(['lower', 'lcase', 'upper', 'ucase']);

function paramText(node: SqlNode, params: Params): string | undefined {
  const value = paramValue(node, params);
  return typeof value === 'object' && value !== null ? undefined : String(value ?? '');
}

function joined(texts: readonly (string | undefined)[]): string | undefined {
  const known = texts.filter((text) => text !== undefined);
  const length = known.reduce((sum, text) => sum + text.length, 0);
  return known.length < texts.length || length > joinedCharactersMax ? undefined : known.join('');
}

export function hasParameter(root: unknown): boolean {
  let found = false;
  walkNodes(root, (node) => {
    if (node['class'] === 'PARAMETER') found = true;
    return !found;
  });
  return found;
}
