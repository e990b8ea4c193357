/**
 * What a request needs, and whether a token's scopes have it. Pure.
 *
 * | request                                              | needs                                            |
 * |------------------------------------------------------|--------------------------------------------------|
 * | `/healthz`, `/readyz`, `/openapi.json`               | nothing                                          |
 * | SQL, `/api/v1/tables`                                | `read` of anything: other tables are not there   |
 * | one table: GET                                       | `read` of it; without that it is not there       |
 * | one table: everything else                           | `write` of it                                    |
 * | `/status`, `/metrics`, agents, jobs, queries         | `read` of all tables: they show more than one    |
 * | everything else                                      | `admin` of all tables                            |
 */
import { accessLevels, type AccessLevel, type Scope } from './token.js';

export type Need =
  { readonly kind: 'nothing' | 'tables' } | { readonly kind: 'table' | 'all'; readonly access: AccessLevel };

const openRoutes = new Set(['/healthz', '/readyz', '/openapi.json']);
const sqlRoutes = new Set(['/api/v1/query', '/api/v1/tables']);
const tableRoutes = new Set(['/api/v1/latest', '/api/v1/range']);
const wideRoutes = new Set([
  '/',
  '/status',
  '/metrics',
  '/api/v1/agents',
  '/api/v1/jobs',
  '/api/v1/jobs/:id',
  '/api/v1/queries',
]);

/** @param route as it was registered: `/api/v1/tables/:table`; undefined where there is none */
export function needOf(method: string, route: string | undefined): Need {
  const isRead = method === 'GET' || method === 'HEAD';
  if (route === undefined) return { kind: 'tables' };
  if (openRoutes.has(route)) return { kind: 'nothing' };
  if (sqlRoutes.has(route)) return { kind: 'tables' };
  if (tableRoutes.has(route) || route.startsWith('/api/v1/tables/:table'))
    return { kind: 'table', access: isRead ? 'read' : 'write' };
  return { kind: 'all', access: isRead && wideRoutes.has(route) ? 'read' : 'admin' };
}

export function allows(
  scopes: readonly Scope[],
  access: AccessLevel,
  database: string,
  table: string,
): boolean {
  const wanted = accessLevels.indexOf(access);
  return scopes.some(
    (scope) =>
      accessLevels.indexOf(scope.access) >= wanted &&
      (scope.database === '*' || scope.database === database) &&
      (scope.table === '*' || scope.table === table),
  );
}

export function allowsAll(scopes: readonly Scope[], access: AccessLevel): boolean {
  const wanted = accessLevels.indexOf(access);
  return scopes.some(
    (scope) => accessLevels.indexOf(scope.access) >= wanted && scope.database === '*' && scope.table === '*',
  );
}
