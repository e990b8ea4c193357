/**
 * The store as many agents and several ingesters see it: an inbox that fills by itself, notifications of what has come, a list
 * that costs a request per thousand keys, and a log whose only commit point is put-if-absent of the next version.
 *
 * Every request takes its time and is counted. Contents are not stored: a shipment is its key.
 */
import type { Clock } from '@varve/common/clock.js';
import type { InboxObject } from '@varve/tsdb/ingest/list-inbox.js';
import type { Random } from '../../torture/seeded-random.js';

export const requestKinds = ['put', 'get', 'list', 'head', 'delete', 'receive'] as const;
export type RequestKind = (typeof requestKinds)[number];

/** Milliseconds in the middle; each request takes between two thirds and four thirds of it. As S3's of one region. */
const requestMs: Readonly<Record<RequestKind, number>> = {
  ...{ put: 40, get: 25, list: 60, head: 15, delete: 40, receive: 15 },
};

export const keysPerList = 1_000;
/** Of one request to the queue. */
export const messagesPerReceive = 10;

/** One commit of the table. */
export interface FleetCommit {
  readonly atMs: number;
  readonly ingester: number;
  readonly shipments: readonly InboxObject[];
  /** The new position of each lane, by slot: as the `txn` actions of the commit say. */
  readonly transactions: ReadonlyMap<number, ReadonlyMap<string, number>>;
}

/** A shipment on its way in. */
export interface Arrival {
  readonly object: InboxObject;
  readonly slot: number;
  readonly atMs: number;
  /** Infinity: the notification was lost. */
  readonly notifiedMs: number;
}

export class FleetStore {
  readonly log: FleetCommit[] = [];
  readonly requests = new Map<RequestKind, number>(requestKinds.map((kind) => [kind, 0]));
  readonly #clock: Clock;
  readonly #random: Random;
  /** By slot, in order of arrival, and how many of them have come. */
  readonly #arrivals: readonly (readonly Arrival[])[];
  readonly #arrived: number[];
  readonly #queues: readonly (readonly Arrival[])[];
  readonly #received: number[];
  /** By slot and key: what has come and is not deleted. */
  readonly #inbox: readonly Map<string, Arrival>[];

  /** `arrivals` by slot. */
  constructor(clock: Clock, random: Random, arrivals: readonly (readonly Arrival[])[]) {
    [this.#clock, this.#random] = [clock, random];
    this.#arrivals = arrivals.map((all) => [...all].sort((a, b) => a.atMs - b.atMs));
    this.#queues = arrivals.map((all) =>
      all.filter(({ notifiedMs }) => notifiedMs < Infinity).sort((a, b) => a.notifiedMs - b.notifiedMs),
    );
    this.#arrived = arrivals.map(() => 0);
    this.#received = arrivals.map(() => 0);
    this.#inbox = arrivals.map(() => new Map<string, Arrival>());
  }

  /** `count` requests, `atOnce` at a time. */
  async request(kind: RequestKind, count = 1, atOnce = 1): Promise<void> {
    this.requests.set(kind, (this.requests.get(kind) ?? 0) + count);
    const turns = Math.ceil(count / atOnce);
    await this.#clock.sleep(turns * requestMs[kind] * (2 / 3 + (2 / 3) * this.#random()));
  }

  /** Everything in the inbox is listed, whoever it is for: keys begin with the agent's name, not with its slot. */
  async list(slot: number): Promise<Arrival[]> {
    this.#letArrive();
    const keys = this.#inbox.reduce((count, { size }) => count + size, 0);
    const found = [...(this.#inbox[slot]?.values() ?? [])];
    await this.request('list', Math.floor(keys / keysPerList) + 1);
    return found;
  }

  /** What the slot's queue says has come, `max` of it. */
  async receive(slot: number, max: number): Promise<Arrival[]> {
    const queue = this.#queues[slot] ?? [];
    const from = this.#received[slot] ?? 0;
    let to = from;
    while (to < queue.length && to - from < max && (queue[to]?.notifiedMs ?? Infinity) <= this.#clock.nowMs())
      to += 1;
    this.#received[slot] = to;
    // Received, and then deleted from the queue, ten at a time.
    await this.request('receive', 2 * Math.ceil((to - from) / messagesPerReceive) + 1, 16);
    return queue.slice(from, to);
  }

  /** Whether a shipment that nobody told of has come. */
  async head(slot: number, key: string): Promise<Arrival | undefined> {
    this.#letArrive();
    const found = this.#inbox[slot]?.get(key);
    await this.request('head');
    return found;
  }

  async delete(slot: number, keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#inbox[slot]?.delete(key);
    await this.request('delete', Math.ceil(keys.length / keysPerList));
  }

  /** THE COMMIT POINT. False: somebody else has the version. */
  async putIfAbsent(version: number, commit: Omit<FleetCommit, 'atMs'>): Promise<boolean> {
    await this.request('put');
    if (this.log.length !== version) return false;
    this.log.push({ ...commit, atMs: this.#clock.nowMs() });
    return true;
  }

  /** How many wait, of all slots. */
  waiting(): number {
    this.#letArrive();
    return this.#inbox.reduce((count, { size }) => count + size, 0);
  }

  #letArrive(): void {
    const nowMs = this.#clock.nowMs();
    this.#arrivals.forEach((arrivals, slot) => {
      let next = this.#arrived[slot] ?? 0;
      for (; (arrivals[next]?.atMs ?? Infinity) <= nowMs; next += 1) {
        const arrival = arrivals[next];
        if (arrival) this.#inbox[slot]?.set(arrival.object.key, arrival);
      }
      this.#arrived[slot] = next;
    });
  }
}
