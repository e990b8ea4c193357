/** How much a message matters, by its topic: as much as the most important stream that wants it. */
import type { StreamConfig } from '../config.js';
import { matchTopic } from '../decode/topic-template.js';
import type { Rank } from './plan-eviction.js';

/** Topics remembered; beyond that, memory is worth more than the matching. */
const topicsMax = 20_000;

export class StreamRanks {
  /** Every priority there is, lowest first. */
  readonly priorities: readonly number[];
  readonly #streams: readonly StreamConfig[];
  readonly #ranks = new Map<string, Rank>();

  constructor(streams: readonly StreamConfig[]) {
    // The first of equals comes first: sorting is stable.
    this.#streams = streams.toSorted((a, b) => b.priority - a.priority);
    this.priorities = [...new Set(streams.map(({ priority }) => priority))].sort((a, b) => a - b);
  }

  /** A message that no stream wants goes with the lowest. */
  rankOf(topic: string): Rank {
    const known = this.#ranks.get(topic);
    if (known) return known;
    const stream = this.#streams.find((one) => matchTopic(one.topic, topic));
    const rank = {
      stream: stream?.name ?? null,
      priority: stream?.priority ?? this.priorities[0] ?? 0,
    };
    if (this.#ranks.size >= topicsMax) this.#ranks.clear();
    this.#ranks.set(topic, rank);
    return rank;
  }
}
