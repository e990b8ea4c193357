/**
 * What the command line asks of a running server, over the same HTTP that everybody uses.
 */
import { X509Certificate } from 'node:crypto';
import { request as askPlain } from 'node:http';
import { request as askSecure, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import { formatListenAddress, type ListenAddress } from '@varve/common/config/listen-address.js';
import { readPem } from '@varve/common/config/pem.js';
import { Failure, failureTable, messageOf, type FailureCode } from '@varve/common/errors.js';
import type { TsdbConfig } from '../config.js';

/** Where the server is and, with TLS, the certificate it must show. */
export type AskedServer = Pick<TsdbConfig, 'listen' | 'tls'>;

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
  server: AskedServer,
  body: { readonly sql: string; readonly max_rows?: number },
): Promise<ServerAnswer> {
  return (await askServer(server, '/api/v1/query', body)) as ServerAnswer;
}

export async function askTables(server: AskedServer): Promise<readonly ServerTable[]> {
  const { tables } = (await askServer(server, '/api/v1/tables')) as { tables: ServerTable[] };
  return tables;
}

/** For a server that wants one: `VARVE_TOKEN` of the command line. */
let bearer: string | undefined;

export function useToken(token: string | undefined): void {
  bearer = token;
}

/** A POST where there is a body. @throws Failure `server_unreachable`, or what the server says */
export async function askServer({ listen, tls }: AskedServer, path: string, body?: object): Promise<unknown> {
  const url = `${tls ? 'https' : 'http'}://${formatListenAddress(reachable(listen))}${path}`;
  try {
    const headers = {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(bearer !== undefined && bearer !== '' && { authorization: `Bearer ${bearer}` }),
    };
    const options = {
      method: body === undefined ? 'GET' : 'POST',
      headers,
      ...(tls && trustOnly(readPem(tls.cert))),
    };
    const { status, answer } = await exchange(url, options, body && JSON.stringify(body));
    if (status >= 400) throw toFailure(answer as Problem, status);
    return answer;
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    throw new Failure('server_unreachable', `no answer from ${url}: ${messageOf(cause)}`, {
      cause,
      hint: 'start it with "varve-tsdb serve", or check listen and tls in the configuration',
    });
  }
}

function exchange(url: string, options: RequestOptions, body: string | undefined) {
  return new Promise<{ status: number; answer: unknown }>((resolve, reject) => {
    const asked = (url.startsWith('https:') ? askSecure : askPlain)(url, options, (response) => {
      text(response)
        .then((answer) =>
          resolve({ status: response.statusCode ?? 0, answer: JSON.parse(answer) as unknown }),
        )
        .catch(reject);
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

/**
 * The very certificate that the configuration names, whoever signed it: it is asked on this machine's own address, which
 * certificates do not name.
 */
function trustOnly(certificate: string): RequestOptions {
  const { fingerprint256 } = new X509Certificate(certificate);
  return {
    ca: certificate,
    allowPartialTrustChain: true,
    checkServerIdentity: (_host, shown) =>
      shown.fingerprint256 === fingerprint256
        ? undefined
        : new Error('it shows another certificate than tls.cert holds'),
  };
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
