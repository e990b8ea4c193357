/**
 * `POST /api/v1/tables/{table}/delete`, `GET /api/v1/jobs`, `GET /api/v1/jobs/{id}`, `POST /api/v1/retain`: what happens to
 * tables in the background, and how somebody asks for it.
 */
import { Failure } from '@varve/common/errors.js';
import type { FastifyInstance } from './http-server.js';
import type { TableCatalog } from '../delta/snapshot.js';
import type { Job, JobBook } from '../jobs.js';
import type { TableName } from '@varve/common/contract/object-keys.js';
import { readDeleteRequest, readDryRun, type DeleteRequest } from './delete-request.js';
import { guardCondition } from './guard-condition.js';
import { toSnakeCase } from './snake-case.js';
import { requireTable } from './table-routes.js';

/** What this folder needs of upkeep, which it must not know. */
export interface UpkeepRequests {
  /** What DuckDB's parser makes of a text, as JSON. */
  serializeSql(sql: string): Promise<string>;
  /** `where` is guarded. */
  submitDelete(task: DeleteRequest & { readonly name: TableName }): Promise<Job>;
  retain(isDryRun: boolean): Promise<readonly object[]>;
}

export interface JobSources {
  readonly catalog: TableCatalog;
  readonly jobs: JobBook;
  readonly upkeep: UpkeepRequests;
}

export function addJobRoutes(server: FastifyInstance, { catalog, jobs, upkeep }: JobSources): void {
  server.post<{ Params: { table: string } }>('/api/v1/tables/:table/delete', async (request, reply) => {
    const wanted = readDeleteRequest(request.body);
    const snapshot = requireTable(request.params.table, catalog);
    if (wanted.where !== undefined)
      await guardCondition(wanted.where, snapshot, (sql) => upkeep.serializeSql(sql));
    const job = await upkeep.submitDelete({ ...wanted, name: snapshot.name });
    return reply.code(202).header('location', `/api/v1/jobs/${job.id}`).send(describeJob(job));
  });
  server.get('/api/v1/jobs', () => ({ jobs: jobs.list().map(describeJob) }));
  server.get<{ Params: { id: string } }>('/api/v1/jobs/:id', ({ params }) => {
    const job = jobs.get(params.id);
    if (job) return describeJob(job);
    throw new Failure('job_not_found', `there is no job "${params.id}" that this server knows`, {
      hint: 'GET /api/v1/jobs lists them; what ended long ago, or before a restart, is forgotten',
    });
  });
  server.post('/api/v1/retain', async ({ body }) => {
    const isDryRun = readDryRun(body);
    return { dry_run: isDryRun, tables: toSnakeCase(await upkeep.retain(isDryRun)) };
  });
}

function describeJob({ id, kind, table, state, isDryRun, ...job }: Job): object {
  const text = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    ...{ id, kind, table, state, dry_run: isDryRun, task: toSnakeCase(job.task) },
    ...{ created: text(job.createdMs), started: text(job.startedMs), ended: text(job.endedMs) },
    ...{ progress: job.progress ?? null, result: toSnakeCase(job.result) ?? null, error: job.error ?? null },
  };
}
