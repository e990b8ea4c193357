/**
 * `GET /api/v1/tables/{table}/versions?limit=&before=`, `POST /api/v1/tables/{table}/restore {version, dry_run}`: what a table
 * was, and making it that again.
 */
import { defaultDatabase, type TableName } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { FastifyInstance } from './http-server.js';
import { z } from 'zod';
import { restoreTable, type RestoreContext, type RestoreReport } from '../delta/restore-table.js';
import { listVersions, type VersionPage } from '../delta/versions.js';
import { findTable, tableNotFound } from '../query/find-table.js';

const versionsMax = 1_000;
const versionNumber = z.coerce.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
export const pageSchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(versionsMax).default(100),
  before: versionNumber.optional(),
});
export const restoreSchema = z.strictObject({
  version: z.int().nonnegative(),
  dry_run: z.boolean().default(false),
});

export function addVersionRoutes(server: FastifyInstance, context: RestoreContext): void {
  server.get<{ Params: { table: string } }>('/api/v1/tables/:table/versions', async ({ params, query }) => {
    const name = nameOf(params.table, context);
    const page = check(pageSchema, query, 'write ?limit=100&before=20');
    return { table: params.table, ...showVersions(await listVersions(context.store, name, page)) };
  });
  server.post<{ Params: { table: string } }>('/api/v1/tables/:table/restore', async ({ params, body }) => {
    const name = nameOf(params.table, context);
    const { version, dry_run } = check(restoreSchema, body, 'write {"version": 12, "dry_run": true}');
    const report = await restoreTable(context, name, version, { isDryRun: dry_run });
    return { table: params.table, dry_run, ...showRestore(report) };
  });
}

function check<Output>(schema: z.ZodType<Output>, value: unknown, hint: string): Output {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  throw new Failure('bad_param', z.prettifyError(parsed.error), { hint });
}

/** @param label `environment`, or `lab.runs` */
function nameOf(label: string, { catalog }: RestoreContext): TableName {
  const [database = '', table = ''] = label.includes('.') ? label.split('.', 2) : [defaultDatabase, label];
  const snapshot = findTable(catalog.current(), database, table);
  if (snapshot === undefined) throw tableNotFound(label, catalog.current());
  return snapshot.name;
}

export function showVersions({ versions, oldest, pinned }: VersionPage): object {
  return {
    oldest_readable: oldest ?? null,
    pinned,
    versions: versions.map(({ version, committedMs, operation, engine, metrics, isPinned }) => ({
      version,
      time: new Date(committedMs).toISOString(),
      operation: operation ?? null,
      engine: engine ?? null,
      metrics,
      pinned: isPinned,
    })),
  };
}

export function showRestore(report: RestoreReport): object {
  return {
    version: report.version,
    new_version: report.newVersion ?? null,
    files_added: report.filesAdded,
    files_removed: report.filesRemoved,
    rows_before: report.rowsBefore,
    rows_after: report.rowsAfter,
  };
}
