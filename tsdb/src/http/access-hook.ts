/**
 * Lets a request in by its token, `Authorization: Bearer varve_…`, before anything of it is looked at. What a token may not see is
 * not there: for its requests the catalog has only the tables of its scopes (`visibleTables`).
 */
import { defaultDatabase } from '@varve/common/contract/object-keys.js';
import { Failure } from '@varve/common/errors.js';
import type { FastifyInstance, FastifyRequest } from './http-server.js';
import { allows, allowsAll, needOf } from '../access/plan-access.js';
import type { TokenBook } from '../access/token-book.js';
import type { Scope } from '../access/token.js';
import type { Snapshot, TableCatalog } from '../delta/snapshot.js';
import { tableNotFound } from '../query/find-table.js';
import type { IsVisible } from '../query/visible-tables.js';

const scopesOf = new WeakMap<FastifyRequest, readonly Scope[]>();

/** Call it before any route is added. */
export function addAccess(server: FastifyInstance, tokens: TokenBook, catalog: TableCatalog): void {
  server.addHook('onRequest', async (request, reply) => {
    const need = needOf(request.method, request.routeOptions.url);
    if (need.kind === 'nothing') return;
    try {
      const { scopes } = await tokens.admit(bearerOf(request));
      scopesOf.set(request, scopes);
      if (need.kind === 'all' && !allowsAll(scopes, need.access))
        throw new Failure('forbidden', `this needs ${need.access} of all tables`);
      if (need.kind === 'table') requireScope(request, scopes, need.access, catalog);
    } catch (error) {
      if (error instanceof Failure && error.code === 'unauthenticated')
        void reply.header('www-authenticate', 'Bearer');
      if (error instanceof Failure && error.retryAfterMs !== undefined)
        void reply.header('retry-after', String(Math.ceil(error.retryAfterMs / 1_000)));
      throw error;
    }
  });
}

/** Those that the request may see. */
export function visibleTables<S extends Snapshot>(
  request: FastifyRequest,
  snapshots: readonly S[],
): readonly S[] {
  const isVisible = visibility(request);
  return isVisible ? snapshots.filter(isVisible) : snapshots;
}

/** By the scopes of a token as it was read last. */
const visibilities = new WeakMap<readonly Scope[], IsVisible>();

/** Which tables the request may see, for every request with a token the same function; undefined: all. */
export function visibility(request: FastifyRequest): IsVisible | undefined {
  const scopes = scopesOf.get(request);
  if (!scopes) return undefined;
  const isVisible: IsVisible =
    visibilities.get(scopes) ?? (({ name }) => allows(scopes, 'read', name.database, name.table));
  visibilities.set(scopes, isVisible);
  return isVisible;
}

function bearerOf({ headers: { authorization = '' } }: FastifyRequest): string {
  const [, token] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
  if (token !== undefined) return token;
  throw new Failure('unauthenticated', 'a token is needed', {
    hint: 'send Authorization: Bearer varve_…; "varve-tsdb token create" makes a token',
  });
}

function requireScope(
  request: FastifyRequest,
  scopes: readonly Scope[],
  access: 'read' | 'write' | 'admin',
  catalog: TableCatalog,
): void {
  const fromPath = (request.params as { table?: unknown }).table;
  const fromQuery = (request.query as { table?: unknown }).table;
  const label = fromPath ?? fromQuery;
  // The route says what is missing.
  if (typeof label !== 'string') return;
  const [first = '', second] = label.toLowerCase().split('.', 2);
  const [database, table] = second === undefined ? [defaultDatabase, first] : [first, second];
  if (!allows(scopes, 'read', database, table))
    throw tableNotFound(label, visibleTables(request, catalog.current()));
  if (!allows(scopes, access, database, table))
    throw new Failure('forbidden', `this needs ${access} of ${label}`);
}
