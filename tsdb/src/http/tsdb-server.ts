/**
 * The HTTP server of tsdb: all its routes.
 */
import type { Logger } from '@varve/common/log.js';
import type { Registry } from '@varve/common/metrics.js';
import type { TokenBook } from '../access/token-book.js';
import type { RestoreContext } from '../delta/restore-table.js';
import type { Snapshot } from '../delta/snapshot.js';
import { addAccess } from './access-hook.js';
import { addAgentRoutes } from './agent-routes.js';
import { Completeness, type CompletenessSources } from './completeness.js';
import { addCompletenessRoutes } from './completeness-routes.js';
import { addConflictRoutes, type ConflictSources } from './conflict-routes.js';
import { createHttpServer, type FastifyInstance } from './http-server.js';
import { addLatestRoutes, type LatestSources } from './latest-routes.js';
import { addOpenApiRoute } from './openapi.js';
import { addQueryRoutes } from './query-routes.js';
import { addRangeRoutes } from './range-routes.js';
import { addSeriesRoutes } from './series-routes.js';
import type { ServerCertificate } from './server-certificate.js';
import { addStatusRoutes, type StatusSources } from './status-routes.js';
import { addTableRoutes } from './table-routes.js';
import { addVersionRoutes } from './version-routes.js';

export interface TsdbServerOptions extends StatusSources {
  /** For versions and restore; absent where tables are only read. */
  readonly past?: RestoreContext;
  /** Absent where nothing is ingested. */
  readonly conflictsOf?: ConflictSources['conflictsOf'];
  /** Absent where nothing is ingested. */
  readonly ingestState?: CompletenessSources['ingestState'];
  /** As `LatestSources` has it; absent where no register is kept. */
  readonly newestRows?: LatestSources['newestRows'];
  /** Absent: everybody may do everything. */
  readonly tokens?: TokenBook | undefined;
  /** Absent: plain HTTP. */
  readonly certificate?: ServerCertificate | undefined;
  readonly log: Logger;
  readonly registry: Registry;
}

/** Room for long lists of parameters; SQL itself is bounded more tightly. */
const bodyBytesMax = 2 ** 20;

export function createTsdbServer(options: TsdbServerOptions): FastifyInstance {
  const { log, engine, catalog } = options;
  const server = createHttpServer({ ...options, bodyBytesMax });
  if (options.tokens) addAccess(server, options.tokens, catalog);
  addOpenApiRoute(server, options.version);
  const completeness = new Completeness(options);
  const completeUntil = (snapshots: readonly Snapshot[]) => completeness.knownOf(snapshots);
  addQueryRoutes(server, engine, log, completeUntil);
  addTableRoutes(server, catalog);
  if (options.conflictsOf) addConflictRoutes(server, { catalog, conflictsOf: options.conflictsOf });
  addRangeRoutes(server, { ...options, completeUntil });
  addCompletenessRoutes(server, { ...options, completeness });
  const newestRows = options.newestRows ?? (() => Promise.resolve(undefined));
  addLatestRoutes(server, { ...options, newestRows });
  addSeriesRoutes(server, { ...options, newestRows });
  if (options.past) addVersionRoutes(server, options.past);
  addAgentRoutes(server, options);
  addStatusRoutes(server, options);
  return server;
}
