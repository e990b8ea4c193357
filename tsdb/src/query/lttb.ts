/**
 * `lttb(time, value, count)`: the few points of a series that draw nearly the same line, by Largest Triangle Three Buckets (Sveinn
 * Steinarsson, Downsampling Time Series for Visual Representation, 2013, §4.2). An aggregate, as in TimescaleDB's toolkit: a list
 * of `{time, value}`, to be unnested.
 *
 * DuckDB gathers and sorts the points, where its memory limit holds; a function of ours picks. It runs on the thread that answers
 * everybody, so its points are bounded: a million are 50 ms.
 */
import {
  BIGINT,
  DOUBLE,
  DuckDBListVector,
  DuckDBScalarFunction,
  DuckDBStructVector,
  LIST,
  listValue,
  STRUCT,
  structValue,
  TIMESTAMPTZ,
  timestampTZValue,
  type DuckDBVector,
} from '@duckdb/node-api';
import { Failure, messageOf } from '@varve/common/errors.js';
import { nodeAt, nodesAt, replaceColumns, type ParseSelect, type SqlNode } from './sql-tree.js';

const lttbName = 'lttb';
export const lttbPicker = 'varve_lttb';
/** Of one series, and of all series that DuckDB hands over at once (2,048 at most). */
const pointsMax = 1_000_000;
const pointsAtOnceMax = 4_000_000;

export function isLttb(node: SqlNode): boolean {
  const isCall = node['class'] === 'FUNCTION' || node['class'] === 'WINDOW';
  return isCall && String(node['function_name']).toLowerCase() === lttbName;
}

/** @throws Failure `sql_invalid` where its arguments are not there */
export async function rewriteLttb(node: SqlNode, parse: ParseSelect): Promise<SqlNode> {
  const [__time, __value, __count, ...others] = nodesAt(node, 'children');
  const isPlain = node['class'] === 'FUNCTION' && node['distinct'] !== true;
  if (!isPlain || !__time || !__value || !__count || others.length > 0)
    throw new Failure(
      'sql_invalid',
      `${lttbName} is an aggregate of a time, a value, and how many points are wanted`,
      {
        hint: `such as select device, unnest(${lttbName}(time, temperature, 500), recursive := true) from environment group by device`,
      },
    );
  const __filter = nodeAt(node, 'filter');
  const select = await parse(
    `SELECT ${lttbPicker}(
       list({'x': CAST(epoch_us(__time) AS DOUBLE), 'y': CAST(__value AS DOUBLE)} ORDER BY __time)
       FILTER (WHERE __time IS NOT NULL AND __value IS NOT NULL ${__filter ? 'AND (__filter)' : ''}),
       CAST(__count AS BIGINT))`,
  );
  const [call] = nodesAt(select, 'select_list');
  const found = { __time, __value, __count, ...(__filter && { __filter }) };
  return { ...(replaceColumns(call, found) as SqlNode), alias: node['alias'] };
}

/** For `connection.registerScalarFunction`, of one connection for all of the instance. */
export function createLttbPicker(): DuckDBScalarFunction {
  const point = STRUCT({ time: TIMESTAMPTZ, value: DOUBLE });
  return DuckDBScalarFunction.create({
    name: lttbPicker,
    parameterTypes: [LIST(STRUCT({ x: DOUBLE, y: DOUBLE })), BIGINT],
    returnType: LIST(point),
    mainFunction: (info, chunk, picked) => {
      try {
        pickAll(chunk.getColumnVector(0), chunk.getColumnVector(1), chunk.rowCount, picked);
      } catch (error) {
        info.setError(messageOf(error));
      }
    },
  });
}

function pickAll(lists: DuckDBVector, counts: DuckDBVector, rows: number, picked: DuckDBVector): void {
  if (!(lists instanceof DuckDBListVector) || !(lists.childVector instanceof DuckDBStructVector))
    throw new Error(`${lttbPicker} was not given lists of points`);
  const xs = lists.childVector.entryVectorAt(0);
  const ys = lists.childVector.entryVectorAt(1);
  if (lists.childVector.itemCount > pointsAtOnceMax) throw tooMany(lists.childVector.itemCount);
  for (let row = 0; row < rows; row++) {
    const first = lists.getEntryOffset(row);
    const length = lists.getEntryLength(row);
    const count = Number(counts.getItem(row) ?? 0);
    if (count < 1) throw new Error(`${lttbName}: the number of points must be at least 1`);
    if (length === 0) {
      picked.setItem(row, null);
      continue;
    }
    if (length > pointsMax) throw tooMany(length);
    const numberAt = (vector: DuckDBVector) => (at: number) => Number(vector.getItem(first + at));
    const x = numberAt(xs);
    const y = numberAt(ys);
    picked.setItem(
      row,
      listValue(
        pickLttb({ length, x, y }, count).map((at) =>
          structValue({ time: timestampTZValue(BigInt(x(at))), value: y(at) }),
        ),
      ),
    );
  }
  picked.flush();
}

function tooMany(points: number): Error {
  return new Error(
    `${lttbName} was given ${points} readings, and takes ${pointsMax} a series and ${pointsAtOnceMax} together: ` +
      'ask for a shorter time or fewer series, or for means by time_bucket first',
  );
}

export interface Points {
  readonly length: number;
  /** Ascending. */
  readonly x: (at: number) => number;
  readonly y: (at: number) => number;
}

/**
 * Which points stay, ascending, at most `count`: the first, the last, and of each bucket between them the one that makes the largest
 * triangle with the one picked before and the mean of the next bucket. NaN is never the largest, and in no mean.
 */
export function pickLttb({ length, x, y }: Points, count: number): number[] {
  if (length <= count) return Array.from({ length }, (_, at) => at);
  if (count <= 2) return count === 1 ? [0] : [0, length - 1];
  const width = (length - 2) / (count - 2);
  const startOf = (bucket: number) => 1 + Math.floor(bucket * width);
  const picked = [0];
  let before = 0;
  for (let bucket = 0; bucket < count - 2; bucket++) {
    const end = startOf(bucket + 1);
    const next = meanOf(end, Math.min(Math.max(startOf(bucket + 2), end + 1), length), x, y);
    const [x0, y0] = [x(before), y(before)];
    let largest = -1;
    for (let at = startOf(bucket); at < end; at++) {
      // Twice the triangle's area.
      const area = Math.abs((x0 - next.x) * (y(at) - y0) - (x0 - x(at)) * (next.y - y0));
      if (area > largest || largest < 0) {
        largest = area >= 0 ? area : 0;
        before = at;
      }
    }
    picked.push(before);
  }
  picked.push(length - 1);
  return picked;
}

function meanOf(start: number, end: number, x: Points['x'], y: Points['y']): { x: number; y: number } {
  let [sumX, sumY, found] = [0, 0, 0];
  for (let at = start; at < end; at++) {
    const value = y(at);
    if (Number.isNaN(value)) continue;
    sumX += x(at);
    sumY += value;
    found++;
  }
  return found === 0 ? { x: x(start), y: 0 } : { x: sumX / found, y: sumY / found };
}
