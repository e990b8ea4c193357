/**
 * Patterns that could outlast every timeout. DuckDB tries all ways to divide a text among the wildcards of `ILIKE`, `GLOB`, and `LIKE`
 * with `_`, ESCAPE or COLLATE, and an interrupt is heeded only after 2,048 rows: `ilike '%a%a%a%a%a%ab'` took 35 ms for one value of 40
 * letters, and 0.5 s with eight `%`.
 *
 * 1. LIKE with nothing but `%` is linear if DuckDB knows the pattern when it plans: from the text, or from a parameter. There it has
 *    no bound here. `rewrite-sql.ts` makes `lower(x) LIKE lower(…)` of ILIKE, so that the same holds for it.
 * 2. Otherwise one wildcard may have something behind it, in at most `bytesMax` bytes: a second one would make it 15 s for a text of
 *    64 KB. Texts are bounded then (`text-bounds.ts`).
 * 3. DuckDB makes LIKE of `regexp_matches` where `.` is every character (option `s`, `(?s)`), with `_` for `.` and `%` for `.*`; so it
 *    may have no `*` there. Everything else of regular expressions is RE2, of which `regexp-cost.ts` knows what it takes.
 * 4. A pattern is text, parameters, and what `patternText` knows to join them; it is looked at again when parameters are bound. One
 *    that comes with the rows is refused.
 */
import { Failure } from '@varve/common/errors.js';
import type { Params } from './bind-params.js';
import { hasParameter, patternText } from './pattern-text.js';
import { nameAt, nodesAt, walkNodes, type SqlNode } from './sql-tree.js';
import {
  boundOfCall,
  boundOfPattern,
  boundOfRegexp,
  free,
  isBounded,
  isFree,
  isRegexp,
  openTextBytes,
  type TextBound,
} from './text-bounds.js';

type Place = (node: SqlNode) => Readonly<Record<string, unknown>>;

/** A pattern with parameters in it. */
export interface OpenPattern {
  readonly call: SqlNode;
  readonly isCollated: boolean;
  readonly facts: Readonly<Record<string, unknown>>;
}

const wildcardsMax = 1;
const bytesMax = 100;
/** An expression that fits shorter texts only is refused. */
const textBytesMin = 64;

const likes = new Set(['~~', '!~~']);
const insensitiveLikes = new Set(['~~*', '!~~*']);
const escapedLikes = new Set(['like_escape', 'not_like_escape', 'ilike_escape', 'not_ilike_escape']);
const globs = new Set(['~~~']);
const allLikes = new Set([likes, insensitiveLikes, escapedLikes, globs].flatMap((names) => [...names]));

/** Whether a call may take long, by what it is given. */
export const isLongCall = (name: string): boolean => allLikes.has(name) || isRegexp(name) || isBounded(name);

/**
 * @param root as it will run, after `rewriteSql`
 * @returns the patterns that `checkOpenPatterns` must see before each run
 * @throws Failure `sql_not_allowed`
 */
export function checkPatterns(root: unknown, place: Place): readonly OpenPattern[] {
  const calls: SqlNode[] = [];
  walkNodes(root, (node) => {
    if (nameAt(node, 'collation').includes('nfc')) throw slowCollation(place(node));
    if (isLongCall(nameAt(node, 'function_name'))) calls.push(node);
    return true;
  });
  const isCollated = hasCollation(root);
  const open: OpenPattern[] = [];
  for (const call of calls) {
    const facts = place(call);
    if (isOpen(call)) open.push({ call, isCollated, facts });
    const problem = problemOf(call, isCollated, undefined);
    if (problem) throw new Failure('sql_not_allowed', problem.message, { hint: problem.hint, facts });
  }
  return open;
}

/**
 * @returns whether texts must be looked at while it runs
 * @throws Failure `bad_param`
 */
export function checkOpenPatterns(patterns: readonly OpenPattern[], params: Params): boolean {
  let isLong = false;
  for (const { call, isCollated, facts } of patterns) {
    const problem = problemOf(call, isCollated, params);
    if (problem) throw new Failure('bad_param', problem.message, { hint: problem.hint, facts });
    if (!isFree(textBoundOf(call, isCollated, params))) isLong = true;
  }
  return isLong;
}

/** Collations come out of subqueries with their columns. */
export function hasCollation(root: unknown): boolean {
  let found = false;
  walkNodes(root, (node) => {
    if (node['class'] === 'COLLATE') found = true;
    return !found;
  });
  return found;
}

/** Whether parameters, and nothing that comes with the rows, decide how long it takes. */
export function isOpen(call: SqlNode): boolean {
  const [, pattern, ...others] = nodesAt(call, 'children');
  if (!pattern || !hasParameter([pattern, ...others])) return false;
  return !isBounded(nameAt(call, 'function_name')) || patternText(pattern, undefined) !== undefined;
}

/** @param params undefined where they are not known yet: for empty ones, then */
export function textBoundOf(call: SqlNode, isCollated: boolean, params: Params | undefined): TextBound {
  const name = nameAt(call, 'function_name');
  if (isBounded(name)) return boundOfCall(call, params);
  const [, pattern, extra] = nodesAt(call, 'children');
  const text = (pattern && patternText(pattern, params)) ?? '';
  if (isRegexp(name)) return boundOfRegexp(call, text, params);
  const escape = extra ? patternText(extra, params) : '';
  const isQuick =
    isQuickLike(name, text, isCollated) || wildcardsInside(text, wildcardOf(name), escape) === 0;
  return isQuick ? free : boundOfPattern(text);
}

/** `x ILIKE pattern` that is no quicker as it is: with several `%`, or with parameters. */
export function isSlowIlike(node: SqlNode): boolean {
  const [value, pattern] = nodesAt(node, 'children');
  if (!insensitiveLikes.has(nameAt(node, 'function_name')) || !value || !pattern) return false;
  // `* ILIKE 'a%'` chooses columns.
  if (value['class'] === 'STAR') return false;
  const text = patternText(pattern, []);
  return hasParameter(pattern) || (text !== undefined && wildcardsInside(text, '%') > 0);
}

interface Problem {
  readonly message: string;
  readonly hint: string;
}

/** @param params undefined where they are not known yet: whatever they are, then */
function problemOf(call: SqlNode, isCollated: boolean, params: Params | undefined): Problem | undefined {
  const children = nodesAt(call, 'children');
  const [, pattern, extra] = children;
  const name = nameAt(call, 'function_name');
  // `*columns(…)` is any number of arguments.
  if (children.some((child) => child['type'] === 'OPERATOR_UNPACK')) return unknownPattern(name);
  if (isBounded(name)) return undefined;
  if (pattern === undefined) return unknownPattern(name);
  const text = patternText(pattern, params);
  if (text === undefined) return unknownPattern(name);
  if (isRegexp(name)) return regexpProblem(call, text, params);
  if (isQuickLike(name, text, isCollated)) return undefined;
  const escape = extra ? patternText(extra, params) : '';
  if (escape === undefined) return unknownPattern(name);
  return isTooMuch(text, wildcardOf(name), escape) ? tooMuch : undefined;
}

function isQuickLike(name: string, text: string, isCollated: boolean): boolean {
  return likes.has(name) && !isCollated && !text.includes('_');
}

function wildcardOf(name: string): string {
  return globs.has(name) ? '*' : '%';
}

function regexpProblem(call: SqlNode, text: string, params: Params | undefined): Problem | undefined {
  const [, , extra] = nodesAt(call, 'children');
  const options = extra ? patternText(extra, params) : '';
  if (nameAt(call, 'function_name') === 'regexp_matches' && isSlowRegexp(text, options)) return slowRegexp;
  const { bytesMax } = boundOfRegexp(call, text, params);
  const isGiven = params !== undefined && isOpen(call);
  return bytesMax < (isGiven ? openTextBytes : textBytesMin) ? largeRegexp : undefined;
}

function isTooMuch(text: string, wildcard: string, escape = ''): boolean {
  const wildcards = wildcardsInside(text, wildcard, escape);
  return wildcards > wildcardsMax || (wildcards > 0 && Buffer.byteLength(text) > bytesMax);
}

/** Several in a row are one, and one at the end is free. */
function wildcardsInside(text: string, wildcard: string, escape = ''): number {
  let count = 0;
  let isBehindOne = false;
  for (let at = 0; at < text.length; at++) {
    const isEscape = text[at] === escape;
    if (isEscape) at += 1;
    if (!isEscape && text[at] === wildcard) isBehindOne = true;
    else if (isBehindOne) {
      count += 1;
      isBehindOne = false;
    }
  }
  return count;
}

/** As LIKE it has a `%` in front already. Groups hide what a `*` stands behind, so that every one counts. */
function isSlowRegexp(text: string, options: string | undefined): boolean {
  const isAnyCharacter = options === undefined || options.includes('s') || /\(\?[a-z]*s/i.test(text);
  return isAnyCharacter && (text.includes('*') || Buffer.byteLength(text) > bytesMax);
}

const tooMuch: Problem = {
  message:
    'GLOB and ILIKE, and LIKE with _, ESCAPE or COLLATE, take one wildcard besides one at the end, and ' +
    `${bytesMax} bytes then: with more they could take hours, and nobody could end them`,
  hint: "LIKE with nothing but % takes any number: lower(device) like '%a%b%c%'; regexp_full_match is quick as well",
};
const slowRegexp: Problem = {
  message: `regexp_matches with the option s takes no *, and ${bytesMax} bytes: with more it could take hours, and nobody could end it`,
  hint: 'regexp_full_match takes any: write .* before and behind',
};

const largeRegexp: Problem = {
  message:
    'the regular expression is too large: over a longer text it could take minutes, and nobody could end it',
  hint: 'write fewer and smaller {n,m}, and no + or * in what is repeated, optional or one of several: [0-9]+, not ([0-9]+,?)*',
};

/** Accents of one letter are put in order one by one: 13 ms for 4 KB of them, 3 s for 64 KB. */
function slowCollation(facts: Readonly<Record<string, unknown>>): Failure {
  return new Failure('sql_not_allowed', 'COLLATE NFC is not allowed: with some texts it could take long', {
    hint: 'compare nfc_normalize(device)',
    facts,
  });
}

function unknownPattern(name: string): Problem {
  return {
    message: `a pattern of ${spelled(name)} is a text, or is joined of texts and parameters: one that comes with the rows could take hours`,
    hint: 'starts_with, ends_with and contains take any value: starts_with(device, site)',
  };
}

function spelled(name: string): string {
  if (!allLikes.has(name)) return name;
  return globs.has(name) ? 'GLOB' : 'LIKE';
}
