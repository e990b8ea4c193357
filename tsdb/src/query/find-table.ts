/**
 * Tables by the names that people use: `environment`, or `lab.runs` for one outside the default database.
 */
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { Snapshot } from '../delta/snapshot.js';
import { nearestName } from '@varve/common/nearest-name.js';

/** An answer that says what there is stays readable. */
const namedTablesMax = 50;

export function tableLabel({ name }: Snapshot): string {
  return name.database === defaultDatabase ? name.table : `${name.database}.${name.table}`;
}

/** The table that a BASE_TABLE of a statement means, unless a CTE hides it. */
export function findTableOf(
  node: Readonly<Record<string, unknown>>,
  snapshots: readonly Snapshot[],
  database: string,
): Snapshot | undefined {
  const [catalog, schema, table] = [node['catalog_name'], node['schema_name'], node['table_name']].map(
    String,
  );
  return catalog ? undefined : findTable(snapshots, schema || database, table ?? '');
}

/** `environment`, or `lab.runs`. */
export function findLabelled(
  snapshots: readonly Snapshot[],
  label: string,
  database: string,
): Snapshot | undefined {
  const [first = '', second] = label.split('.', 2);
  return second === undefined ? findTable(snapshots, database, first) : findTable(snapshots, first, second);
}

/** Names are in lower case; how they are asked for does not matter. */
export function findTable(
  snapshots: readonly Snapshot[],
  database: string,
  table: string,
): Snapshot | undefined {
  const [wantedDatabase, wantedTable] = [database.toLowerCase(), table.toLowerCase()];
  return snapshots.find(({ name }) => name.database === wantedDatabase && name.table === wantedTable);
}

/** @param facts more for the problem document: a position */
export function tableNotFound(wanted: string, snapshots: readonly Snapshot[], facts: object = {}): Failure {
  const tables = snapshots.slice(0, namedTablesMax).map(tableLabel);
  const nearest = nearestName(wanted.toLowerCase(), snapshots.map(tableLabel));
  const known = tables.length === 0 ? 'there are none yet' : `there are ${tables.join(', ')}`;
  return new Failure('table_not_found', `there is no table "${wanted}"; ${known}`, {
    hint: nearest === undefined ? 'GET /api/v1/tables lists the tables' : `did you mean ${nearest}?`,
    facts: { ...facts, tables, ...(nearest === undefined ? {} : { did_you_mean: [nearest] }) },
  });
}
