/**
 * `GET /api/v1/tables/{table}/conflicts`: values that did not fit their columns: where they went, from whom, since when, how
 * often.
 *
 * That, since when, and from whom at first is in the table. Counts by agent are those of this server since `counted_since`.
 */
import type { Field, Tag } from '@varve/common/contract/columns.js';
import { defaultDatabase, type TableName } from '@varve/common/contract/object-keys.js';
import type { FastifyInstance } from './http-server.js';
import type { Snapshot, TableCatalog } from '../delta/snapshot.js';
import { findTable, tableNotFound } from '../query/find-table.js';

/** What a part of the program that this folder must not know has counted. */
export interface CountedConflicts {
  readonly countedSinceMs: number;
  readonly entries: readonly {
    readonly side: string;
    readonly agent: string;
    readonly values: number;
    readonly firstMs: number;
    readonly lastMs: number;
  }[];
}

export interface ConflictSources {
  readonly catalog: TableCatalog;
  readonly conflictsOf: (name: TableName) => CountedConflicts;
}

export function addConflictRoutes(server: FastifyInstance, { catalog, conflictsOf }: ConflictSources): void {
  server.get<{ Params: { table: string } }>('/api/v1/tables/:table/conflicts', ({ params }) => {
    const snapshots = catalog.current();
    const label = params.table;
    const [database = '', table = ''] = label.includes('.') ? label.split('.', 2) : [defaultDatabase, label];
    const snapshot = findTable(snapshots, database, table);
    if (snapshot === undefined) throw tableNotFound(label, snapshots);
    return describeConflicts(snapshot, conflictsOf(snapshot.name));
  });
}

export function describeConflicts(
  { name, columns }: Pick<Snapshot, 'name' | 'columns'>,
  { countedSinceMs, entries }: CountedConflicts,
) {
  const all: readonly (Tag & Partial<Field>)[] = [...columns.tags, ...columns.fields];
  const kindOf = (column: (Tag & Partial<Field>) | undefined) => column?.type ?? 'tag';
  const conflicts = all.flatMap((side) => {
    if (side.sideOf === undefined) return [];
    const column = all.find((known) => known.name === side.sideOf);
    const counted = entries.filter((entry) => entry.side === side.name);
    return [
      {
        column: side.sideOf,
        type: kindOf(column),
        ...(column?.decimals !== undefined && { decimals: column.decimals }),
        conflicting_type: kindOf(side),
        stored_in: side.name,
        since: timeText(side.sideFrom?.sinceMs),
        first_agent: side.sideFrom?.agent ?? null,
        values: counted.reduce((sum, { values }) => sum + values, 0),
        agents: counted.map(({ agent, values, firstMs, lastMs }) => {
          return { agent, values, first: timeText(firstMs), last: timeText(lastMs) };
        }),
      },
    ];
  });
  return { database: name.database, table: name.table, counted_since: timeText(countedSinceMs), conflicts };
}

function timeText(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
