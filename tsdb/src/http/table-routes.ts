/**
 * `GET /api/v1/tables`, `/api/v1/tables/{table}`: what there is, from memory.
 */
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import type { FastifyInstance } from './http-server.js';
import type { Snapshot, TableCatalog } from '../delta/snapshot.js';
import { findTable, tableNotFound } from '../query/find-table.js';
import { visibleTables } from './access-hook.js';
import { describeTable, type TableDescription } from './describe-table.js';

export function addTableRoutes(server: FastifyInstance, catalog: TableCatalog): void {
  server.get('/api/v1/tables', (request) => ({
    tables: visibleTables(request, catalog.current()).map(describeTable),
  }));
  server.get<{ Params: { table: string } }>('/api/v1/tables/:table', ({ params }) =>
    describeNamed(params.table, catalog),
  );
}

/** @param label `environment`, or `lab.runs` */
function describeNamed(label: string, catalog: TableCatalog): TableDescription {
  return describeTable(requireTable(label, catalog));
}

/** @throws Failure `table_not_found` */
export function requireTable(label: string, catalog: TableCatalog): Snapshot {
  const snapshots = catalog.current();
  const [database = '', table = ''] = label.includes('.') ? label.split('.', 2) : [defaultDatabase, label];
  const snapshot = findTable(snapshots, database, table);
  if (snapshot === undefined) throw tableNotFound(label, snapshots);
  return snapshot;
}
