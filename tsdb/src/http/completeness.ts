/**
 * What is known of agents and ingest, kept for `keptMs`: headers of answers say how complete they are without waiting for the
 * store. One reading of the agents' documents at a time.
 */
import type { Clock } from '@varve/common/clock.js';
import { messageOf } from '@varve/common/errors.js';
import type { Logger } from '@varve/common/log.js';
import type { Store } from '@varve/common/store/store.js';
import type { Snapshot } from '../delta/snapshot.js';
import { toAgentReport } from '../sensors/agent-report.js';
import {
  agentCompleteness,
  shippedTo,
  tableCompleteUntilMs,
  type AgentCompleteness,
  type AgentReports,
  type IngestState,
  type ShippedTo,
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
  #reports: AgentReports | undefined;
  readonly #shipped = new WeakMap<Snapshot, { readonly reports: AgentReports; readonly to: ShippedTo }>();
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<AgentReports> | undefined;

  constructor(sources: CompletenessSources) {
    this.#sources = sources;
  }

  /** By agent, from reports that are at most `keptMs` old. @throws Failure of the store */
  async of(snapshot: Snapshot): Promise<AgentCompleteness[]> {
    const reports = this.#isFresh() ? this.#reports : await this.#read();
    return agentCompleteness(snapshot, reports ?? new Map(), this.#sources.ingestState?.());
  }

  /** Of all tables together, in RFC 3339. Never waits: undefined where it is not known yet, and reads on in the background. */
  knownOf(snapshots: readonly Snapshot[]): string | undefined {
    if (!this.#isFresh()) this.#readLater();
    const reports = this.#reports;
    if (!reports || snapshots.length === 0) return undefined;
    const ingest = this.#sources.ingestState?.();
    const times = snapshots.map((snapshot) =>
      tableCompleteUntilMs(this.#shippedTo(snapshot, reports), snapshot.name, ingest),
    );
    return times.includes(undefined) ? undefined : new Date(Math.min(...(times as number[]))).toISOString();
  }

  #shippedTo(snapshot: Snapshot, reports: AgentReports): ShippedTo {
    let known = this.#shipped.get(snapshot);
    if (known?.reports !== reports) {
      known = { reports, to: shippedTo(snapshot, reports) };
      this.#shipped.set(snapshot, known);
    }
    return known.to;
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

  async #read(): Promise<AgentReports> {
    this.#reading ??= this.#readReports().finally(() => (this.#reading = undefined));
    return await this.#reading;
  }

  async #readReports(): Promise<AgentReports> {
    const { store, clock } = this.#sources;
    const nowMs = clock.nowMs();
    const { agents } = await readAgents(store, nowMs);
    this.#reports = new Map(
      agents.map((one) => [one.agent, toAgentReport(one.agent, nowMs - one.age_seconds * 1_000, one.status)]),
    );
    this.#readAtMs = clock.monotonicMs();
    return this.#reports;
  }
}
