/**
 * One of several ingesters: its share of the agents is a slot, found by a hash of the agent's name. It plans as tsdb's does
 * (`groupByLane`, `planIngest`); what reading and merging takes is a time.
 *
 * 1. What has come it knows from its queue. A message may be lost or late: a lane that shows a gap is asked for by name, since
 *    keys are numbered, and now and then everything is listed.
 * 2. Downloads, work, one data file, one commit. When somebody else took the version, the commit is either planned anew, as
 *    tsdb does it, or only put again behind the others' commits, when none of them moved a lane of its own slots.
 * 3. An ingester that is taken for dead may still commit. Its successor has the positions of the slot's lanes from the log, and
 *    so has whoever puts again: nothing is taken twice.
 */
import { planBackoffMs } from '@varve/common/backoff.js';
import { formatInboxKey } from '@varve/common/contract/object-keys.js';
import { laneAppId } from '@varve/tsdb/delta/lane-app-id.js';
import type { InboxObject } from '@varve/tsdb/ingest/list-inbox.js';
import { groupByLane, planIngest } from '@varve/tsdb/ingest/plan-ingest.js';
import type { Random } from '../../torture/seeded-random.js';
import type { Arrival, FleetStore } from './fleet-store.js';
import type { VirtualTime } from './virtual-time.js';

export interface IngesterPolicy {
  readonly everyMs: number;
  readonly commitFilesMax: number;
  readonly transfersAtOnceMax: number;
  /** Of processor time for a shipment, on one core that is the ingester's own. */
  readonly workMsPerShipment: number;
  readonly discovery: 'listing' | 'notifications';
  readonly onConflict: 'plan anew' | 'put again';
  /** How often notifications are checked by listing; Infinity: never. */
  readonly sweepEveryMs: number;
  /** A planted fault: puts again without a look at what the others committed. */
  readonly isBlind?: boolean;
}

export interface IngesterCounts {
  rounds: number;
  commits: number;
  conflicts: number;
  gaveUp: number;
  workMs: number;
}

const commitTriesMax = 5;
const conflictBackoff = { firstMs: 20, maxMs: 1_000 };
/** Commits are read so many at a time. */
const readsAtOnce = 16;

interface Slot {
  readonly pending: Map<string, InboxObject>;
  /** The lanes' positions as of `#seen`. */
  readonly transactions: Map<string, number>;
}

export class FleetIngester {
  readonly counts: IngesterCounts = { rounds: 0, commits: 0, conflicts: 0, gaveUp: 0, workMs: 0 };
  readonly #parts: { index: number; time: VirtualTime; store: FleetStore; random: Random };
  readonly #policy: IngesterPolicy;
  readonly #slots = new Map<number, Slot>();
  /** Commits that it has read. */
  #seen = 0;
  #sweptMs: number;
  /** Stands still right before a commit, until then. */
  #frozenUntilMs = 0;

  constructor(
    parts: { index: number; time: VirtualTime; store: FleetStore; random: Random },
    policy: IngesterPolicy,
  ) {
    this.#parts = parts;
    this.#policy = policy;
    this.#slots.set(parts.index, { pending: new Map(), transactions: new Map() });
    // Not all at one moment.
    this.#sweptMs = -policy.sweepEveryMs * parts.random();
  }

  freezeUntil(ms: number): void {
    this.#frozenUntilMs = ms;
  }

  /** Another one's share, from now on. */
  takeOver(slot: number): void {
    const transactions = new Map<string, number>();
    for (const commit of this.#parts.store.log.slice(0, this.#seen))
      for (const [appId, seq] of commit.transactions.get(slot) ?? []) transactions.set(appId, seq);
    this.#slots.set(slot, { pending: new Map(), transactions });
    this.#sweptMs = -Infinity;
  }

  async run(): Promise<void> {
    const { time, random } = this.#parts;
    await time.sleep(this.#policy.everyMs * random());
    for (;;) if (!(await this.#round())) await time.sleep(this.#policy.everyMs);
  }

  /** True when there is more to do at once. */
  async #round(): Promise<boolean> {
    this.counts.rounds += 1;
    await this.#discover();
    for (let attempt = 1; attempt <= commitTriesMax; attempt += 1) {
      const outcome = await this.#tryCommit();
      if (outcome !== 'conflict') return outcome === 'more';
      await this.#parts.time.sleep(planBackoffMs(attempt, conflictBackoff, this.#parts.random()));
    }
    this.counts.gaveUp += 1;
    return true;
  }

  async #discover(): Promise<void> {
    const { time, store } = this.#parts;
    const { discovery, sweepEveryMs, commitFilesMax } = this.#policy;
    const isSweep = discovery === 'listing' || time.nowMs() - this.#sweptMs >= sweepEveryMs;
    if (isSweep) this.#sweptMs = time.nowMs();
    for (const [slot, { pending }] of this.#slots) {
      const found = isSweep ? await store.list(slot) : await store.receive(slot, 2 * commitFilesMax);
      for (const { object } of found) pending.set(object.key, object);
    }
  }

  async #tryCommit(): Promise<'done' | 'more' | 'conflict'> {
    const { index, time, store } = this.#parts;
    await this.#readOn();
    const { shipments, transactions, isCut } = await this.#plan();
    if (shipments.length === 0) return 'done';
    await store.request('get', shipments.length, this.#policy.transfersAtOnceMax);
    const workMs = shipments.length * this.#policy.workMsPerShipment;
    this.counts.workMs += workMs;
    await time.sleep(workMs);
    await store.request('put');
    if (this.#frozenUntilMs > time.nowMs()) await time.sleep(this.#frozenUntilMs - time.nowMs());
    while (!(await store.putIfAbsent(this.#seen, { ingester: index, shipments, transactions }))) {
      this.counts.conflicts += 1;
      const touchesOurs = await this.#readOn();
      if (this.#policy.onConflict === 'plan anew') return 'conflict';
      if (touchesOurs && this.#policy.isBlind !== true) return 'conflict';
    }
    this.counts.commits += 1;
    await this.#finish(shipments);
    return isCut ? 'more' : 'done';
  }

  /** Reads what others have committed. @returns whether any of it moved a lane of ours */
  async #readOn(): Promise<boolean> {
    const { store } = this.#parts;
    await store.request('head');
    const commits = store.log.slice(this.#seen);
    if (commits.length === 0) return false;
    this.#seen += commits.length;
    await store.request('list');
    await store.request('get', commits.length, readsAtOnce);
    const moved = commits.flatMap(({ transactions }) =>
      [...this.#slots].flatMap(([slot, own]) =>
        [...(transactions.get(slot) ?? [])].map((move) => ({ own, move })),
      ),
    );
    for (const { own, move } of moved) own.transactions.set(...move);
    return moved.length > 0;
  }

  async #plan(): Promise<{
    shipments: InboxObject[];
    transactions: Map<number, Map<string, number>>;
    isCut: boolean;
  }> {
    const shipments: InboxObject[] = [];
    const transactions = new Map<number, Map<string, number>>();
    let isCut = false;
    for (const [slot, own] of this.#slots) {
      const plan = await this.#planSlot(slot, own);
      isCut ||= plan.isCut;
      shipments.push(...plan.commit);
      transactions.set(slot, new Map(plan.commit.map(({ parts }) => [laneAppId(parts), parts.seq])));
    }
    return { shipments, transactions, isCut };
  }

  /** What a gap waits for may be there without a message: it is asked for by its name, once a round. */
  async #planSlot(slot: number, { pending, transactions }: Slot) {
    const limits = { commitFilesMax: this.#policy.commitFilesMax, commitBytesMax: Infinity };
    const planNow = () => {
      const objects = [...pending.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
      return planIngest(groupByLane(objects, transactions), new Map(), limits);
    };
    const plan = planNow();
    await this.#remove(slot, pending, plan.alreadyCommitted);
    if (this.#policy.discovery === 'listing' || plan.gaps.length === 0) return plan;
    const asked = plan.gaps.map(({ lane, awaitedSeq }) => formatInboxKey({ ...lane, seq: awaitedSeq }));
    const found: (Arrival | undefined)[] = [];
    for (const key of asked) found.push(await this.#parts.store.head(slot, key));
    for (const arrival of found) if (arrival) pending.set(arrival.object.key, arrival.object);
    return planNow();
  }

  async #finish(shipments: readonly InboxObject[]): Promise<void> {
    this.#seen += 1;
    for (const [slot, { pending, transactions }] of this.#slots) {
      const ours = shipments.filter(({ key }) => pending.has(key));
      for (const { parts } of ours) transactions.set(laneAppId(parts), parts.seq);
      await this.#remove(slot, pending, ours);
    }
  }

  async #remove(
    slot: number,
    pending: Map<string, InboxObject>,
    objects: readonly InboxObject[],
  ): Promise<void> {
    if (objects.length === 0) return;
    for (const { key } of objects) pending.delete(key);
    await this.#parts.store.delete(
      slot,
      objects.map(({ key }) => key),
    );
  }
}
