/**
 * One expression of WHERE or ON, as a `Condition` about columns. Pure. What is not understood becomes `any`.
 */
import { anyCondition, type Condition, type Operator, type Rounding } from './condition.js';
import { constantValue, daysUs } from './constant-value.js';
import { castOf, columnNames, nodeAt, nodesAt, plainCall, queryAt, type SqlNode } from './sql-tree.js';

const operators: Readonly<Record<string, Operator>> = {
  COMPARE_EQUAL: '=',
  COMPARE_NOTEQUAL: '!=',
  COMPARE_LESSTHAN: '<',
  COMPARE_LESSTHANOREQUALTO: '<=',
  COMPARE_GREATERTHAN: '>',
  COMPARE_GREATERTHANOREQUALTO: '>=',
};
const mirrored: Readonly<Record<Operator, Operator>> = {
  '=': '=',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

/** @param find the column that a name means; undefined where that is not sure */
export function findCondition<Column>(
  expression: SqlNode | undefined,
  find: (names: readonly string[]) => Column | undefined,
): Condition<Column> {
  if (expression === undefined) return anyCondition;
  const inner = (node: SqlNode | undefined) => findCondition(node, find);
  const compare = (left: SqlNode | undefined, operator: Operator, values: readonly SqlNode[]) =>
    comparison(left, operator, values, find);
  const children = nodesAt(expression, 'children');
  switch (expression['type']) {
    case 'CONJUNCTION_AND':
      return { kind: 'and', parts: children.map(inner) };
    case 'CONJUNCTION_OR':
      return { kind: 'or', parts: children.map(inner) };
    case 'OPERATOR_NOT':
      return { kind: 'not', part: inner(children[0]) };
    case 'COMPARE_IN':
      return compare(children[0], '=', children.slice(1));
    case 'COMPARE_NOT_IN':
      return { kind: 'not', part: compare(children[0], '=', children.slice(1)) };
    case 'COMPARE_BETWEEN': {
      const [lower, upper] = [nodeAt(expression, 'lower'), nodeAt(expression, 'upper')];
      const input = nodeAt(expression, 'input');
      if (!lower || !upper) return anyCondition;
      return { kind: 'and', parts: [compare(input, '>=', [lower]), compare(input, '<=', [upper])] };
    }
    case 'SUBQUERY':
      return comparison(nodeAt(expression, 'child'), '=', listOfAny(expression), find);
    case 'FUNCTION':
      return listContains(expression, find);
    default:
      return expression['class'] === 'COMPARISON' ? twoSides(expression, find) : anyCondition;
  }
}

function twoSides<Column>(
  expression: SqlNode,
  find: (names: readonly string[]) => Column | undefined,
): Condition<Column> {
  const operator = operators[String(expression['type'])];
  const [left, right] = [nodeAt(expression, 'left'), nodeAt(expression, 'right')];
  if (operator === undefined || !left || !right) return anyCondition;
  const found = comparison(left, operator, [right], find);
  return found.kind === 'any' ? comparison(right, mirrored[operator], [left], find) : found;
}

function comparison<Column>(
  side: SqlNode | undefined,
  operator: Operator,
  values: readonly SqlNode[],
  find: (names: readonly string[]) => Column | undefined,
): Condition<Column> {
  const [named, rounding] = side === undefined || values.length === 0 ? [] : unwrap(side);
  const names = named && columnNames(named);
  const column = names && find(names);
  return column === undefined ? anyCondition : { kind: 'compare', column, rounding, operator, values };
}

/** The column inside what rounds it down. */
function unwrap(side: SqlNode): readonly [SqlNode, Rounding?] {
  const cast = castOf(side);
  if (cast?.type === 'TIMESTAMP' || cast?.type === 'TIMESTAMP WITH TIME ZONE')
    return [cast.child, { to: 'instant', widthUs: 0 }];
  if (cast?.type === 'DATE') return [cast.child, { to: 'date', widthUs: daysUs }];
  const call = plainCall(side);
  const [width, rounded] = call?.args ?? [];
  if (!width || !rounded) return [side];
  const widthUs =
    call?.name === 'date_trunc' || call?.name === 'datetrunc'
      ? truncatedUs(width)
      : call?.name === 'time_bucket'
        ? bucketUs(width, call.args.length)
        : undefined;
  return widthUs === undefined ? [side] : [rounded, { to: 'instant', widthUs }];
}

const noContext = { params: [], nowUs: 0 };

const truncatedDays: Readonly<Record<string, number>> = {
  second: 1,
  minute: 1,
  hour: 1,
  day: 1,
  week: 7,
  month: 31,
  quarter: 93,
  year: 366,
};

/** More than it can be is fine. */
function truncatedUs(unit: SqlNode): number | undefined {
  const value = constantValue(unit, noContext);
  const days = value?.kind === 'text' ? truncatedDays[value.text.toLowerCase()] : undefined;
  return days === undefined ? undefined : days * daysUs;
}

/** An origin, an offset or a time zone shift buckets by less than their width, and by the change of summer time. */
function bucketUs(width: SqlNode, argumentCount: number): number | undefined {
  const text = constantValue(width, noContext);
  const value =
    text?.kind === 'text'
      ? constantValue({ class: 'CAST', child: width, cast_type: { id: 'INTERVAL' } }, noContext)
      : text;
  if (value?.kind !== 'interval' || value.minUs <= 0) return undefined;
  return argumentCount === 2 ? value.maxUs : undefined;
}

/** `any($list)` is parsed as `any(select unnest($list))`. */
function listOfAny(expression: SqlNode): readonly SqlNode[] {
  if (expression['subquery_type'] !== 'ANY' || expression['comparison_type'] !== 'COMPARE_EQUAL') return [];
  const query = queryAt(expression, 'subquery');
  const [only, ...others] = query === undefined ? [] : nodesAt(query, 'select_list');
  const call = only && plainCall(only);
  const isPlain =
    query?.['type'] === 'SELECT_NODE' &&
    nodeAt(query, 'from_table')?.['type'] === 'EMPTY' &&
    !query['where_clause'] &&
    nodesAt(query, 'modifiers').length === 0;
  return isPlain && others.length === 0 && call?.name === 'unnest' && call.args.length === 1 ? call.args : [];
}

/** `device in $list` is parsed as `contains($list, device)`. */
function listContains<Column>(
  expression: SqlNode,
  find: (names: readonly string[]) => Column | undefined,
): Condition<Column> {
  const call = plainCall(expression);
  const [list, item] = call?.args ?? [];
  const isList = list?.['class'] === 'PARAMETER' || (list && plainCall(list)?.name === 'list_value');
  const isCall = call && ['contains', 'list_contains', 'list_has', 'array_contains'].includes(call.name);
  return isCall && isList ? comparison(item, '=', [list], find) : anyCondition;
}
