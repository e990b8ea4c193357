/**
 * What is known of agents and ingest, kept for `keptMs`: headers of answers say how complete they are without waiting for the
 * store. One reading of the agents' documents at a time.
 */
import type { Clock } from '@varve/common/clock.js';
import { messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { Store } from '@varve/common/store/store.js';
import type { Snapshot } from '../delta/snapshot.js';
import { toAgentReport, type AgentReport } from '../sensors/agent-report.js';
import {
  agentCompleteness,
  completeUntilMs,
  type AgentCompleteness,
  type IngestState,
} from '../sensors/complete-until.js';
import { readAgents } from './read-agents.js';

const keptMs = 10_000;

export interface CompletenessSources {
  readonly store: Pick<Store, 'list' | 'get'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ingestState?: () => IngestState;
}

export class Completeness {
  readonly #sources: CompletenessSources;
  #reports: readonly AgentReport[] | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<readonly AgentReport[]> | undefined;

  constructor(sources: CompletenessSources) {
    this.#sources = sources;
  }

  /** By agent, from reports that are at most `keptMs` old. @throws Failure of the store */
  async of(snapshot: Snapshot): Promise<AgentCompleteness[]> {
    const reports = this.#isFresh() ? this.#reports : await this.#read();
    return agentCompleteness(snapshot, reports ?? [], this.#sources.ingestState?.());
  }

  /** Of all tables together, in RFC 3339. Never waits: undefined where it is not known yet, and reads on in the background. */
  knownOf(snapshots: readonly Snapshot[]): string | undefined {
    if (!this.#isFresh()) this.#readLater();
    const reports = this.#reports;
    if (!reports || snapshots.length === 0) return undefined;
    const ingest = this.#sources.ingestState?.();
    const times = snapshots.map((snapshot) => completeUntilMs(agentCompleteness(snapshot, reports, ingest)));
    return times.includes(undefined) ? undefined : new Date(Math.min(...(times as number[]))).toISOString();
  }

  #isFresh(): boolean {
    return this.#sources.clock.monotonicMs() - this.#readAtMs < keptMs;
  }

  #readLater(): void {
    if (this.#reading) return;
    this.#read().catch((error: unknown) => {
      // Not before the time is up again: a store that is away must not be asked at every query.
      this.#readAtMs = this.#sources.clock.monotonicMs();
      this.#sources.log.debug({ reason: messageOf(error) }, 'reports of agents cannot be read');
    });
  }

  async #read(): Promise<readonly AgentReport[]> {
    this.#reading ??= this.#readReports().finally(() => (this.#reading = undefined));
    return await this.#reading;
  }

  async #readReports(): Promise<readonly AgentReport[]> {
    const { store, clock } = this.#sources;
    const nowMs = clock.nowMs();
    const { agents } = await readAgents(store, nowMs);
    this.#reports = agents.map((one) =>
      toAgentReport(one.agent, nowMs - one.age_seconds * 1_000, one.status),
    );
    this.#readAtMs = clock.monotonicMs();
    return this.#reports;
  }
}
