/**
 * What the command line asks of a running server, over the same HTTP that everybody uses.
 */
import { formatListenAddress, type ListenAddress } from '@varve/common/config/listen-address.js';
import { Failure, failureTable, messageOf, type FailureCode } from '@varve/common/errors.js';

export interface ServerAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly unknown[])[];
  readonly row_count: number;
  readonly truncated: boolean;
  readonly stats: { readonly elapsed_ms: number };
}

export interface ServerTable {
  readonly name: string;
  readonly database: string;
  readonly rows: number;
  readonly bytes: number;
  readonly files: number;
  readonly version: number;
  readonly min_time: string | null;
  readonly max_time: string | null;
}

interface Problem {
  readonly code?: string;
  readonly title?: string;
  readonly hint?: string;
  readonly line?: number;
  readonly column?: number;
}

export async function askQuery(
  address: ListenAddress,
  body: { readonly sql: string; readonly max_rows?: number },
): Promise<ServerAnswer> {
  return (await ask(address, '/api/v1/query', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })) as ServerAnswer;
}

export async function askTables(address: ListenAddress): Promise<readonly ServerTable[]> {
  const { tables } = (await ask(address, '/api/v1/tables')) as { tables: ServerTable[] };
  return tables;
}

/** A POST where there is a body. @throws Failure `server_unreachable`, or what the server says */
export async function askServer(address: ListenAddress, path: string, body?: object): Promise<unknown> {
  if (body === undefined) return await ask(address, path);
  const headers = { 'content-type': 'application/json' };
  return await ask(address, path, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** For a server that wants one: `VARVE_TOKEN` of the command line. */
let bearer: string | undefined;

export function useToken(token: string | undefined): void {
  bearer = token;
}

async function ask(address: ListenAddress, path: string, init: RequestInit = {}): Promise<unknown> {
  const url = `http://${formatListenAddress(reachable(address))}${path}`;
  try {
    const headers = new Headers(init.headers);
    if (bearer !== undefined && bearer !== '') headers.set('authorization', `Bearer ${bearer}`);
    const response = await fetch(url, { ...init, headers });
    const answer: unknown = await response.json();
    if (!response.ok) throw toFailure(answer as Problem, response.status);
    return answer;
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    throw new Failure('server_unreachable', `no answer from ${url}: ${reasonOf(cause)}`, {
      cause,
      hint: 'start it with "varve-tsdb serve", or check listen in the configuration',
    });
  }
}

/** "All addresses" is where a server listens; nobody can call there. */
function reachable({ host, port }: ListenAddress): ListenAddress {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port };
  return host === '::' ? { host: '::1', port } : { host, port };
}

function toFailure({ code, title, hint, line, column }: Problem, status: number): Failure {
  const place = line === undefined || column === undefined ? '' : ` (line ${line}, column ${column})`;
  return new Failure(
    isFailureCode(code) ? code : 'bad_request',
    `${title ?? `the server answered ${status}`}${place}`,
    hint === undefined ? {} : { hint },
  );
}

function isFailureCode(code: string | undefined): code is FailureCode {
  return code !== undefined && Object.hasOwn(failureTable, code);
}

/** `fetch` hides why it failed one level down. */
function reasonOf(error: unknown): string {
  return messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
}
