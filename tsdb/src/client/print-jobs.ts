/**
 * What `varve-tsdb delete` and `varve-tsdb retain` ask and print. A delete is a job of the server: this waits for its end, and
 * may be ended while the job goes on.
 */
import type { Clock } from '@varve/common/clock.js';
import { Failure } from '@varve/common/errors.js';
import { askServer, type AskedServer } from './ask-server.js';
import { formatTable } from './format-table.js';
import type { PrintOptions } from './print-answers.js';

export interface DeleteBody {
  readonly where?: string;
  readonly start?: string;
  readonly end?: string;
  readonly dry_run: boolean;
}

interface ServerJob {
  readonly id: string;
  readonly state: string;
  readonly error: string | null;
  readonly result: {
    readonly rows: number | null;
    readonly days: readonly string[];
    readonly files_removed: number;
    readonly files_rewritten: number;
  } | null;
}

interface ServerRetention {
  readonly table: string;
  readonly kept_from: string;
  readonly days: number;
  readonly first_day?: string;
  readonly last_day?: string;
  readonly files: number;
  readonly rows: number | null;
  readonly bytes: number;
}

const pollEveryMs = 500;

/** @throws Failure `query_failed` where the job failed; what the server says where it was refused */
export async function printDelete(
  server: AskedServer,
  table: string,
  body: DeleteBody,
  { json, clock }: PrintOptions & { readonly clock: Clock },
): Promise<string> {
  const path = `/api/v1/tables/${encodeURIComponent(table)}/delete`;
  let job = (await askServer(server, path, body)) as ServerJob;
  while (job.state === 'waiting' || job.state === 'running') {
    await clock.sleep(pollEveryMs);
    job = (await askServer(server, `/api/v1/jobs/${job.id}`)) as ServerJob;
  }
  if (job.state !== 'done')
    throw new Failure('query_failed', `the delete failed: ${job.error ?? 'nobody knows why'}`, {
      hint: 'GET /api/v1/jobs says whether it is tried again',
    });
  return json ? `${JSON.stringify(job)}\n` : describeDelete(job, body.dry_run);
}

export function describeDelete({ result }: ServerJob, isDryRun: boolean): string {
  if (!result || result.days.length === 0) return 'no row matches: nothing was changed\n';
  const { rows, days, files_removed, files_rewritten } = result;
  const range = days.length === 1 ? days[0] : `${days.length} days, ${days[0]} to ${days.at(-1)}`;
  const verb = isDryRun ? 'would be deleted' : 'were deleted';
  return `${rows ?? '?'} rows ${verb}: ${range}; ${files_removed} files dropped, ${files_rewritten} written anew\n`;
}

export async function printRetention(
  server: AskedServer,
  isDryRun: boolean,
  { json }: PrintOptions,
): Promise<string> {
  const answer = (await askServer(server, '/api/v1/retain', { dry_run: isDryRun })) as {
    tables: ServerRetention[];
  };
  return json ? `${JSON.stringify(answer)}\n` : describeRetention(answer.tables, isDryRun);
}

export function describeRetention(tables: readonly ServerRetention[], isDryRun: boolean): string {
  if (tables.length === 0) return 'no table has a retain: everything is kept for ever\n';
  const rows = tables.map((table) => [
    ...[table.table, table.kept_from, table.days, table.first_day, table.last_day],
    ...[table.files, table.rows, table.bytes],
  ]);
  const title = isDryRun ? 'what would leave the tables' : 'what has left the tables';
  return `${title}:\n${formatTable(['table', 'kept from', 'days', 'from', 'to', 'files', 'rows', 'bytes'], rows)}`;
}
