/**
 * What one session with a broker is subscribed to. A session outlives the agent, and so do its subscriptions: those that
 * the configuration no longer names must be given up, and what they brought into the session's queue is not wanted.
 *
 * 1. The log remembers every filter that was ever subscribed to in a session, before it is. 2. Whenever the broker still
 * has the session, those that are not configured are unsubscribed, each time: that costs a packet, and nothing needs to be
 * known of how far an earlier try got. 3. A message of theirs that no configured filter matches is acknowledged and let go.
 * 4. A new session begins with what is configured.
 */
import type { SourceConfig } from '../config.js';
import type { EdgeLog } from '../log/edge-log.js';
import { matchesFilter } from './topic-filter.js';

/** Remembered of one session; a configuration has 100 at most. */
const filtersMax = 1_000;

type SubscriptionLog = Pick<EdgeLog, 'subscribed' | 'setSubscribed'>;

export class Subscriptions {
  readonly #log: SubscriptionLog;
  readonly #session: string;
  readonly #configured: readonly string[];
  /** Those first that are configured. */
  #known: readonly string[] = [];
  #givenUp: readonly string[] = [];

  constructor(log: SubscriptionLog, { brokerName, clientId, topics }: SourceConfig) {
    this.#log = log;
    this.#session = `${brokerName} ${clientId}`;
    this.#configured = topics;
  }

  /** Before the first connection: a session's queue comes at once. */
  async recall(): Promise<void> {
    this.#take(await this.#log.subscribed(this.#session));
  }

  /**
   * Before subscribing on a new connection. Returns the filters to unsubscribe.
   * @throws Failure of the log: then nothing may be subscribed to
   */
  async begin(sessionPresent: boolean): Promise<readonly string[]> {
    const filters = planFilters(this.#configured, sessionPresent ? this.#known : []);
    if (filters.join('\0') !== this.#known.join('\0')) await this.#log.setSubscribed(this.#session, filters);
    this.#take(filters);
    return this.#givenUp;
  }

  /** Only what a subscription brought that is given up, and no configured one would have. */
  isUnwanted(topic: string): boolean {
    if (this.#givenUp.length === 0) return false;
    return (
      this.#givenUp.some((filter) => matchesFilter(filter, topic) === true) &&
      this.#configured.every((filter) => matchesFilter(filter, topic) === false)
    );
  }

  #take(filters: readonly string[]): void {
    this.#known = filters;
    this.#givenUp = filters.filter((filter) => !this.#configured.includes(filter));
  }
}

function planFilters(configured: readonly string[], known: readonly string[]): string[] {
  return [...new Set([...configured, ...known])].slice(0, filtersMax);
}
