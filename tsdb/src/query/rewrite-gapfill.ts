/**
 * `time_bucket_gapfill(width, time[, start, finish])`: buckets that have no rows are there too, for every combination of
 * the other columns that are grouped by. `locf(x)` repeats the last value, `interpolate(x)` draws a line between the values
 * around; other aggregates are null there.
 *
 *     SELECT time_bucket_gapfill('1 minute', time) AS minute, device, locf(avg(x)) FROM t
 *     WHERE time >= $from AND time < $to GROUP BY ALL
 *
 * becomes, in short:
 *
 *     WITH __rows AS MATERIALIZED (SELECT time_bucket('1 minute', time) AS __c0, device AS __c1, avg(x) AS __c2 FROM t …),
 *          __keys AS (SELECT DISTINCT __c1 FROM __rows)
 *     SELECT g.__b AS minute, g.__c1 AS device, last_value(r.__c2 IGNORE NULLS) OVER (…)
 *     FROM (… range(start, finish, width) AS s(__b) CROSS JOIN __keys) AS g LEFT JOIN __rows AS r ON …
 *
 * Start and finish are the third and fourth argument, or else what WHERE says of the time, or else the first and last bucket
 * that there is. ORDER BY and LIMIT stay outside.
 */
import { Failure } from '@varve/common/errors.js';
import { quoteName } from '../delta/sql-text.js';
import { aggregateFunctions } from './allowed-functions.js';
import {
  columnNames,
  nameAt,
  nodeAt,
  nodesAt,
  plainCall,
  replaceColumns,
  walkNodes,
  type ParseSelect,
  type SqlNode,
} from './sql-tree.js';

const gapfillName = 'time_bucket_gapfill';

export function isGapfill(select: SqlNode): boolean {
  return nodesAt(select, 'select_list').some((item) => plainCall(item)?.name === gapfillName);
}

type Role = 'bucket' | 'key' | 'value' | 'locf' | 'interpolate';

interface Item {
  readonly role: Role;
  /** What the inner query computes. */
  readonly expression: SqlNode;
  readonly name: string;
}

interface Bounds {
  readonly start?: SqlNode;
  readonly finish?: SqlNode;
  readonly isFinishIncluded?: boolean;
}

/** @throws Failure `sql_invalid` where its arguments are not there */
export async function rewriteGapfill(select: SqlNode, parse: ParseSelect): Promise<SqlNode> {
  const items = nodesAt(select, 'select_list').map(readItem);
  const buckets = items.filter(({ role }) => role === 'bucket');
  const [width, time, start, finish] = buckets.flatMap(({ expression }) => nodesAt(expression, 'children'));
  const hasStar = items.some(({ expression }) => expression['class'] === 'STAR');
  if (buckets.length !== 1 || !width || !time || hasStar) throw misplaced();
  const found = timeBounds(nodeAt(select, 'where_clause'), time);
  const bounds: Bounds = {
    ...found,
    ...(start && { start }),
    ...(finish && { finish, isFinishIncluded: false }),
  };
  const { start: __start, finish: __finish } = bounds;
  const outer = replaceColumns(await parse(outerSql(items, bounds)), {
    __width: width,
    ...(__start && { __start }),
    ...(__finish && { __finish }),
  }) as SqlNode;
  return {
    ...outer,
    modifiers: nodesAt(select, 'modifiers').map((modifier) => orderByName(modifier, items)),
    cte_map: withInner(nodeAt(outer, 'cte_map') ?? {}, innerSelect(select, items)),
  };
}

function misplaced(): Failure {
  return new Failure('sql_invalid', `${gapfillName} stands once among the columns, with a width and a time`, {
    hint: `such as select ${gapfillName}('1 minute', time) as minute, device, avg(x) from t group by all`,
  });
}

function readItem(item: SqlNode): Item {
  const call = plainCall(item);
  const alias = typeof item['alias'] === 'string' ? item['alias'] : '';
  const name = alias || (columnNames(item)?.at(-1) ?? call?.name ?? 'column');
  if (call?.name === gapfillName) return { role: 'bucket', expression: item, name };
  const [filled] = call?.args ?? [];
  if (call && (call.name === 'locf' || call.name === 'interpolate') && filled)
    return { role: call.name, expression: filled, name };
  return { role: hasAggregate(item) ? 'value' : 'key', expression: item, name };
}

function hasAggregate(item: SqlNode): boolean {
  let found = false;
  walkNodes(item, (node) => {
    const name = nameAt(node, 'function_name');
    found ||= node['class'] === 'FUNCTION' && (name === 'count_star' || aggregateFunctions.has(name));
    return !found;
  });
  return found;
}

function innerSelect(select: SqlNode, items: readonly Item[]): SqlNode {
  return {
    ...select,
    modifiers: [],
    select_list: items.map(({ role, expression }, index) => ({
      ...(role === 'bucket' ? toBucket(expression) : expression),
      alias: `__c${index}`,
    })),
    group_expressions: nodesAt(select, 'group_expressions').map((group) => groupOf(group, items)),
  };
}

function toBucket(gapfill: SqlNode): SqlNode {
  return { ...gapfill, function_name: 'time_bucket', children: nodesAt(gapfill, 'children').slice(0, 2) };
}

/** By the name that a column has inside, where it was grouped by the one outside. */
function groupOf(group: SqlNode, items: readonly Item[]): SqlNode {
  if (plainCall(group)?.name === gapfillName) return toBucket(group);
  const [name, ...others] = columnNames(group) ?? [];
  const index = items.findIndex((item) => item.role !== 'value' && item.name.toLowerCase() === name);
  const isAlias = index !== -1 && others.length === 0 && !columnNames(items[index]?.expression ?? {});
  return isAlias ? { ...group, column_names: [`__c${index}`] } : group;
}

/** `time >= x and time < y`, in whatever order. */
function timeBounds(where: SqlNode | undefined, time: SqlNode): Bounds {
  const name = columnNames(time)?.at(-1);
  const isTime = (node: SqlNode | undefined) => node !== undefined && columnNames(node)?.at(-1) === name;
  const parts = where?.['type'] === 'CONJUNCTION_AND' ? nodesAt(where, 'children') : where ? [where] : [];
  return Object.assign({}, ...parts.map((part) => boundsIn(part, isTime))) as Bounds;
}

function boundsIn(part: SqlNode, isTime: (node: SqlNode | undefined) => boolean): Bounds {
  const type = String(part['type']);
  const [lower, upper] = [nodeAt(part, 'lower'), nodeAt(part, 'upper')];
  if (type === 'COMPARE_BETWEEN' && isTime(nodeAt(part, 'input')) && lower && upper)
    return { start: lower, finish: upper, isFinishIncluded: true };
  const [left, right] = [nodeAt(part, 'left'), nodeAt(part, 'right')];
  const isMirrored = isTime(right);
  const bound = isTime(left) ? right : isMirrored ? left : undefined;
  if (bound === undefined || !/^COMPARE_(GREATER|LESS)THAN/.test(type)) return {};
  const isLower = type.startsWith('COMPARE_GREATERTHAN') !== isMirrored;
  return isLower ? { start: bound } : { finish: bound, isFinishIncluded: type.endsWith('OREQUALTO') };
}

function outerSql(items: readonly Item[], bounds: Bounds): string {
  const keys = items.flatMap(({ role }, index) => (role === 'key' ? [`__c${index}`] : []));
  const bucket = `__c${items.findIndex(({ role }) => role === 'bucket')}`;
  const partition = keys.length === 0 ? '' : `PARTITION BY ${keys.map((key) => `g.${key}`).join(', ')} `;
  const columns = items.map(
    (item, index) => `${outerColumn(item, `__c${index}`, partition)} AS ${quoteName(item.name)}`,
  );
  const same = keys.map((key) => ` AND r.${key} IS NOT DISTINCT FROM g.${key}`).join('');
  const distinct = keys.length === 0 ? 'SELECT 1 AS __one' : `SELECT DISTINCT ${keys.join(', ')} FROM __rows`;
  return `WITH __rows AS MATERIALIZED (SELECT 1), __keys AS (${distinct})
    SELECT ${columns.join(', ')}
    FROM (SELECT * FROM ${bucketsSql(bucket, bounds)} AS s(__b) CROSS JOIN __keys AS k) AS g
    LEFT JOIN __rows AS r ON r.${bucket} = g.__b${same}`;
}

function bucketsSql(bucket: string, { start, finish, isFinishIncluded }: Bounds): string {
  const width = 'CAST(__width AS INTERVAL)';
  const first = start
    ? `time_bucket(${width}, CAST(__start AS TIMESTAMPTZ))`
    : `(SELECT min(${bucket}) FROM __rows)`;
  const last = finish
    ? `CAST(__finish AS TIMESTAMPTZ)${isFinishIncluded ? ' + INTERVAL 1 MICROSECOND' : ''}`
    : `(SELECT max(${bucket}) + ${width} FROM __rows)`;
  return `range(${first}, ${last}, ${width})`;
}

function outerColumn({ role }: Item, column: string, partition: string): string {
  const value = `r.${column}`;
  const before = `OVER (${partition}ORDER BY g.__b ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)`;
  const after = `OVER (${partition}ORDER BY g.__b ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)`;
  const at = `CASE WHEN ${value} IS NOT NULL THEN epoch(g.__b) END`;
  const last = (what: string) => `last_value(${what} IGNORE NULLS) ${before}`;
  const next = (what: string) => `first_value(${what} IGNORE NULLS) ${after}`;
  switch (role) {
    case 'bucket':
      return 'g.__b';
    case 'key':
      return `g.${column}`;
    case 'value':
      return value;
    case 'locf':
      return last(value);
    case 'interpolate':
      return `coalesce(${value}, ${last(value)} + (${next(value)} - ${last(value)})
        * (epoch(g.__b) - ${last(at)}) / nullif(${next(at)} - ${last(at)}, 0))`;
  }
}

/** The inner query takes the place of the first CTE. */
function withInner(cteMap: SqlNode, inner: SqlNode): SqlNode {
  const [rows, ...others] = nodesAt(cteMap, 'map');
  const value = nodeAt(rows ?? {}, 'value') ?? {};
  const query = { ...nodeAt(value, 'query'), node: inner };
  return { ...cteMap, map: [{ ...rows, value: { ...value, query } }, ...others] };
}

/** An order by the call itself is one by its column. */
function orderByName(modifier: SqlNode, items: readonly Item[]): SqlNode {
  if (modifier['type'] !== 'ORDER_MODIFIER') return modifier;
  const name = items.find(({ role }) => role === 'bucket')?.name ?? '';
  const column = { class: 'COLUMN_REF', type: 'COLUMN_REF', alias: '', column_names: [name] };
  const orders = nodesAt(modifier, 'orders').map((order) =>
    plainCall(nodeAt(order, 'expression') ?? {})?.name === gapfillName
      ? { ...order, expression: column }
      : order,
  );
  return { ...modifier, orders };
}
