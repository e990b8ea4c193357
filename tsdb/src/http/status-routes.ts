/**
 * `/`, `/readyz`, `/status`: how the program fares, for machines that start it and people who look after it.
 */
import type { Clock } from '@varve/common/clock.js';
import { probeKey } from '@varve/common/contract/object-keys.js';
import { Failure, isFailure } from '@varve/common/errors.js';
import type { FastifyInstance } from './http-server.js';
import type { Store } from '@varve/common/store/store.js';
import type { TableCatalog } from '../delta/snapshot.js';
import { tableLabel } from '../query/find-table.js';
import type { QueryEngine } from '../query/query-engine.js';
import { describeTable } from './describe-table.js';
import { toSnakeCase } from './snake-case.js';

export interface StatusSources {
  readonly version: string;
  readonly startedMs: number;
  readonly clock: Clock;
  readonly store: Store;
  readonly catalog: TableCatalog;
  readonly engine: QueryEngine;
  /** Parts that this folder must not know; shown as they are, with their names in snake case. */
  readonly parts: Readonly<Record<string, () => unknown>>;
}

const storeAnswersWithinMs = 5_000;

const endpoints = {
  'GET|POST /api/v1/query': 'SQL over the tables: ?sql=select 1, or {"sql": "select 1"}',
  'GET /api/v1/tables': 'the tables, their columns, rows and versions',
  'GET /api/v1/tables/{table}': 'one of them',
  'GET /api/v1/tables/{table}/conflicts':
    'values that did not fit their columns: from whom, since when, how often',
  'POST /api/v1/tables/{table}/delete':
    'rows go: {"where": …, "start": …, "end": …, "dry_run": true}; answers a job',
  'GET /api/v1/jobs': 'what runs in the background, or has run; /api/v1/jobs/{id} is one of them',
  'POST /api/v1/retain': 'days older than retain go now: {"dry_run": true} only says which',
  'GET /api/v1/tables/{table}/latest':
    'the newest row of every series, and its age: ?device=dev-1&stale_after=5m',
  'GET /api/v1/tables/{table}/range':
    'what was measured: ?device=dev-1&start=-6h&every=1m&agg=avg,max&fill=previous',
  'GET /api/v1/tables/{table}/series': 'its series: ?match=device:dev-*&limit=100',
  'GET /api/v1/tables/{table}/values/{column}': 'the values of a tag or a field',
  'GET /api/v1/tables/{table}/completeness': 'until when it has everything, agent by agent',
  'GET /api/v1/tables/{table}/gaps': 'holes in its series, and whose doing they are: ?start=-1d&min=30s',
  'GET /api/v1/agents': 'what each agent last said of itself, and how long ago',
  'GET /openapi.json': 'all of this for programs: OpenAPI 3.1',
  'GET /status': 'how this server fares, for people',
  'GET /healthz': 'whether it runs',
  'GET /readyz': 'whether it can answer: the store is reached',
  'GET /metrics': 'the same in numbers, for Prometheus',
};

export function addStatusRoutes(server: FastifyInstance, sources: StatusSources): void {
  const { version, store, clock } = sources;
  server.get('/', () => ({ name: 'varve-tsdb', version, endpoints }));
  server.get('/readyz', async () => {
    await requireStore(store, clock);
    return { status: 'ready' };
  });
  server.get('/status', () => describeStatus(sources));
}

function describeStatus({ version, startedMs, clock, store, catalog, engine, parts }: StatusSources): object {
  const tables = catalog.current().map((snapshot) => {
    const { rows, bytes, files, max_time } = describeTable(snapshot);
    return { name: tableLabel(snapshot), version: snapshot.version, rows, bytes, files, max_time };
  });
  return {
    version,
    started: new Date(startedMs).toISOString(),
    uptime_seconds: Math.round((clock.nowMs() - startedMs) / 1_000),
    store: store.url,
    queries: engine.status,
    tables,
    ...Object.fromEntries(Object.entries(parts).map(([name, read]) => [name, toSnakeCase(read())])),
  };
}

/** Any answer will do, also that there is no such object. @throws Failure `store_unavailable` */
async function requireStore(store: Store, clock: Clock): Promise<void> {
  const answered = new AbortController();
  const late = clock.sleep(storeAnswersWithinMs, answered.signal).then(() => {
    if (!answered.signal.aborted)
      throw unavailable(`it has not answered for ${storeAnswersWithinMs / 1_000} s`);
  });
  try {
    await Promise.race([store.head(probeKey('readyz')), late]);
  } catch (error) {
    throw isFailure(error) ? unavailable(error.message) : error;
  } finally {
    answered.abort();
  }
}

function unavailable(reason: string): Failure {
  return new Failure('store_unavailable', `the store cannot be reached: ${reason}`, {
    hint: 'check the network, and store in the configuration',
  });
}
