/**
 * `GET /api/v1/agents`: what each agent last said of itself, and how long ago.
 */
import type { Clock } from '@varve/common/clock.js';
import type { FastifyInstance } from './http-server.js';
import type { Store } from '@varve/common/store/store.js';
import { readAgents } from './read-agents.js';

export interface AgentSources {
  readonly store: Pick<Store, 'list' | 'get'>;
  readonly clock: Clock;
}

export function addAgentRoutes(server: FastifyInstance, { store, clock }: AgentSources): void {
  server.get('/api/v1/agents', () => readAgents(store, clock.nowMs()));
}
