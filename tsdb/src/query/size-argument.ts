/**
 * Numbers that say how much a function makes – `repeat('-', 20)`, `range(0, 60)` –, read off the text: what they are at most, whatever
 * the rows. Pure. Undefined where that cannot be told, which callers refuse.
 */
import { constantValue, type ConstantValue } from './constant-value.js';
import { castOf, nameAt, nodeAt, nodesAt, plainCall, type SqlNode } from './sql-tree.js';

/** How large a value is at most. */
export type BytesOf = (node: SqlNode) => number;

export const lengthFunctions =
  'length len strlen char_length character_length octet_length length_grapheme array_length bit_length';
const lengths = new Set(lengthFunctions.split(' '));
const roundings = new Set(['round', 'floor', 'ceil', 'ceiling', 'trunc']);

/** At most; 0 where it is negative. */
export function mostOf(node: SqlNode, bytesOf: BytesOf): number | undefined {
  const constant = constantOf(node);
  if (constant) return constant.kind === 'number' ? Math.max(0, constant.number) : undefined;
  const most = (part: SqlNode) => mostOf(part, bytesOf);
  const cast = castOf(node);
  if (cast) return most(cast.child);
  if (node['type'] === 'OPERATOR_COALESCE') return largestOf(nodesAt(node, 'children').map(most));
  if (node['class'] === 'CASE') return largestOf(branchesOf(node).map(most));
  const { name, args } = plainCall(node) ?? { name: '', args: [] };
  const [left, right] = args;
  if (name === 'greatest') return largestOf(args.map(most));
  if (name === 'least') return smallestOf(args.map(most));
  if (left === undefined) return undefined;
  if (roundings.has(name)) return most(left);
  // Of bits, too.
  if (lengths.has(name)) return 8 * bytesOf(left);
  return right && mostOfTwo(name, left, right, most);
}

function mostOfTwo(
  name: string,
  left: SqlNode,
  right: SqlNode,
  most: (node: SqlNode) => number | undefined,
): number | undefined {
  const constant = constantOf(right);
  const number = constant?.kind === 'number' ? constant.number : undefined;
  const [a, b] = [most(left), most(right)];
  if (name === '+') return a === undefined || b === undefined ? undefined : a + b;
  if (name === '%' || name === 'mod') return number && Math.abs(number);
  const isNotNegative = number === undefined ? lengths.has(nameAt(right, 'function_name')) : number >= 0;
  return name === '-' && isNotNegative ? a : undefined;
}

function largestOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === values.length && known.length > 0 ? Math.max(...known) : undefined;
}

function smallestOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}

function branchesOf(node: SqlNode): SqlNode[] {
  const branches = nodesAt(node, 'case_checks').map((check) => nodeAt(check, 'then_expr'));
  return [...branches, nodeAt(node, 'else_expr')].filter((branch) => branch !== undefined);
}

/** Of `range(end)`, `range(start, end)`, `range(start, end, step)`: how many, at most. */
export function stepsOf(nodes: readonly SqlNode[], bytesOf: BytesOf): number | undefined {
  const [first, second, step] = nodes;
  if (!first || !second) return first && mostOf(first, bytesOf);
  const [from, to] = [constantOf(first), constantOf(second)];
  const width: ConstantValue | undefined = step ? constantOf(step) : { kind: 'number', number: 1 };
  if (from?.kind === 'number' && width?.kind === 'number') {
    // Backwards it is the end's least value that counts.
    const end = to?.kind === 'number' ? to.number : width.number > 0 ? mostOf(second, bytesOf) : undefined;
    return end === undefined ? undefined : steps(end - from.number, width.number);
  }
  if (width?.kind !== 'interval') return undefined;
  const widthUs = Math.min(Math.abs(width.minUs), Math.abs(width.maxUs));
  // Between two times it grows or falls with `now()`: at one of its ends it is largest.
  return largestOf(
    [0, lastNowUs].map((nowUs) =>
      steps(spanUs(constantOf(first, nowUs), constantOf(second, nowUs)), widthUs),
    ),
  );
}

/** A time in the year 2100. */
const lastNowUs = 4_102_444_800_000_000;

function spanUs(from: ConstantValue | undefined, to: ConstantValue | undefined): number | undefined {
  if (!isTime(from) || !isTime(to)) return undefined;
  return Math.max(Math.abs(to.maxUs - from.minUs), Math.abs(from.maxUs - to.minUs));
}

function steps(span: number | undefined, step: number): number | undefined {
  return span === undefined || step === 0 ? undefined : Math.abs(span / step) + 1;
}

function isTime(value: ConstantValue | undefined): value is ConstantValue & { minUs: number; maxUs: number } {
  return value?.kind === 'instant' || value?.kind === 'date';
}

export function textOf(node: SqlNode | undefined): string | undefined {
  const constant = node && constantOf(node);
  return constant?.kind === 'text' ? constant.text : undefined;
}

function constantOf(node: SqlNode, nowUs = 0): ConstantValue | undefined {
  return constantValue(node, { params: {}, nowUs });
}
