/**
 * Values of one commit that did not fit their column, by agent.
 *
 * Only shipments that have such a column are looked at again; in the ordinary case that is none.
 */
import type { TableColumns, Tag } from '@varve/common/contract/columns.js';
import type { Session } from '../delta/duckdb.js';
import { pairFields } from '../delta/shown-fields.js';
import { quoteName } from '../delta/sql-text.js';
import { orderColumn, placeOf, type RawTable } from './load-shipments.js';
import type { ColumnMapping, ColumnsPlan } from './plan-columns.js';
import { misfitSql } from './plan-decimals.js';

export interface ConflictCount {
  /** The column that holds the values, which says what it stands beside. */
  readonly side: string;
  readonly agent: string;
  readonly values: number;
}

/** `agents` are those of the shipments, by their place in the commit. */
export async function countConflicts(
  session: Session,
  rawTables: readonly RawTable[],
  { columns, mappings }: ColumnsPlan,
  agents: readonly string[],
): Promise<ConflictCount[]> {
  const counts: ConflictCount[] = [];
  for (const [index, rawTable] of rawTables.entries()) {
    const sides = sidesOf(columns, mappings[index] ?? []);
    if (sides.length === 0) continue;
    const counted = sides.map(({ value }, at) => `count(${value}) AS values_${at}`);
    const rows = await session.rows(`
      SELECT ${placeOf(orderColumn)} AS place, ${counted.join(', ')}
      FROM ${quoteName(rawTable.name)} GROUP BY 1 ORDER BY 1`);
    for (const row of rows)
      for (const [at, { side }] of sides.entries())
        counts.push({ side, agent: agents[Number(row['place'])] ?? '', values: Number(row[`values_${at}`]) });
  }
  return addUp(counts.filter(({ values }) => values > 0));
}

/** Where values of a shipment go that do not fit, and the SQL of these values. */
function sidesOf(
  columns: TableColumns,
  mapping: readonly ColumnMapping[],
): { side: string; value: string }[] {
  const all: readonly Tag[] = [...columns.tags, ...columns.fields];
  const sideNames = new Set(all.flatMap(({ name, sideOf }) => (sideOf === undefined ? [] : [name])));
  const moved = mapping.filter(({ target }) => sideNames.has(target));
  const misfits = pairFields(columns.fields).flatMap(({ column, beside }) => {
    const source = mapping.find(({ target }) => target === column.name)?.source;
    if (column.decimals === undefined || !beside || source === undefined) return [];
    return [{ side: beside.name, value: misfitSql(quoteName(source), column) }];
  });
  return [...moved.map(({ source, target }) => ({ side: target, value: quoteName(source) })), ...misfits];
}

function addUp(counts: readonly ConflictCount[]): ConflictCount[] {
  const sums = new Map<string, ConflictCount>();
  for (const count of counts) {
    const key = `${count.side} ${count.agent}`;
    sums.set(key, { ...count, values: count.values + (sums.get(key)?.values ?? 0) });
  }
  return [...sums.values()];
}

/** The columns, with whose values the new side columns begin. */
export function nameSides(
  columns: TableColumns,
  before: TableColumns | undefined,
  counts: readonly ConflictCount[],
  nowMs: number,
): TableColumns {
  const known = new Set([...(before?.tags ?? []), ...(before?.fields ?? [])].map(({ name }) => name));
  const named = <Column extends Tag>(column: Column): Column => {
    const first = counts.find(({ side }) => side === column.name);
    if (column.sideOf === undefined || known.has(column.name) || !first) return column;
    return { ...column, sideFrom: { agent: first.agent, sinceMs: nowMs } };
  };
  return { tags: columns.tags.map(named), fields: columns.fields.map(named) };
}
