/**
 * What `varve-tsdb query` and `varve-tsdb tables` print.
 */
import { askQuery, askTables, type AskedServer, type ServerAnswer, type ServerTable } from './ask-server.js';
import { formatTable } from './format-table.js';

export interface PrintOptions {
  readonly json: boolean;
}

export async function printQuery(
  server: AskedServer,
  request: { readonly sql: string; readonly max_rows?: number },
  { json }: PrintOptions,
): Promise<string> {
  const answer = await askQuery(server, request);
  return json ? `${JSON.stringify(answer)}\n` : describeAnswer(answer);
}

export async function printTables(server: AskedServer, { json }: PrintOptions): Promise<string> {
  const tables = await askTables(server);
  return json ? `${JSON.stringify(tables)}\n` : describeTables(tables);
}

export function describeAnswer({ columns, rows, row_count, truncated, stats }: ServerAnswer): string {
  const table = formatTable(
    columns.map(({ name }) => name),
    rows,
  );
  const count = row_count === 1 ? 'one row' : `${row_count} rows`;
  const cut = truncated ? ', and there are more: ask with --max-rows' : '';
  return `${table}${count} in ${stats.elapsed_ms.toFixed(1)} ms${cut}\n`;
}

export function describeTables(tables: readonly ServerTable[]): string {
  if (tables.length === 0) return 'no tables yet: agents ship into the inbox of the store\n';
  return formatTable(
    ['database', 'table', 'rows', 'files', 'bytes', 'version', 'from', 'to'],
    tables.map(({ database, name, rows, files, bytes, version, min_time, max_time }) => [
      ...[database, name, rows, files, bytes, version, min_time, max_time],
    ]),
  );
}
