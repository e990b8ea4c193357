/**
 * A fleet of agents before several ingesters, in simulated time: how many requests it takes, how long a shipment waits, and
 * whether every shipment is in the table once, also when an ingester is taken for dead and is not.
 */
import { formatInboxKey } from '@varve/common/contract/object-keys.js';
import { laneAppId } from '@varve/tsdb/delta/lane-app-id.js';
import { seededRandom, type Random } from '../../torture/seeded-random.js';
import { FleetIngester, type IngesterPolicy } from './fleet-ingester.js';
import { FleetStore, type Arrival, type RequestKind } from './fleet-store.js';
import { VirtualTime } from './virtual-time.js';

export interface FleetOptions extends IngesterPolicy {
  readonly agents: number;
  readonly shipEveryMs: number;
  readonly ingesters: number;
  /** Of simulated time during which agents ship; after it there is as much again, at most a minute, to finish. */
  readonly shippingMs: number;
  /** In [0, 1]: notifications that never come. */
  readonly lostShare: number;
  /** The first ingester stands still in the middle, for longer than its lease; the second has its share meanwhile. */
  readonly hasTakeover: boolean;
  readonly seed: number;
}

export interface FleetResult {
  readonly shipments: number;
  readonly requests: ReadonlyMap<RequestKind, number>;
  readonly commits: number;
  readonly rounds: number;
  readonly conflicts: number;
  /** Rounds that ended without a commit because others were first five times. */
  readonly gaveUp: number;
  /** From the store having a shipment to its commit. Of those that are committed. */
  readonly lagMs: { readonly median: number; readonly p99: number; readonly highest: number };
  /** Of the time that ingesters had; 1: the machine is never idle. */
  readonly load: number;
  /** `txn` actions alone, as JSON. */
  readonly logBytes: number;
  /** Not committed at the end. */
  readonly missing: number;
  /** In the table twice, or over a gap. */
  readonly wrong: readonly string[];
}

const finishMsMax = 60_000;
const frozenMs = 30_000;
const leaseMs = 10_000;
const notifiedAfterMs = { least: 200, most: 1_000 };

export async function simulateFleet(options: FleetOptions): Promise<FleetResult> {
  const random = seededRandom(options.seed);
  const time = new VirtualTime();
  const arrivals = makeArrivals(options, random);
  const store = new FleetStore(time, random, arrivals);
  const ingesters = Array.from(
    { length: options.ingesters },
    (_, index) => new FleetIngester({ index, time, store, random }, options),
  );
  for (const ingester of ingesters) void ingester.run();
  if (options.hasTakeover) void takeOver(time, ingesters, options.shippingMs / 2);
  const endMs = options.shippingMs + Math.min(finishMsMax, options.shippingMs);
  await time.run(endMs);
  return judge(arrivals.flat(), store, ingesters, endMs);
}

async function takeOver(time: VirtualTime, ingesters: readonly FleetIngester[], atMs: number): Promise<void> {
  await time.sleep(atMs);
  ingesters[0]?.freezeUntil(atMs + frozenMs);
  await time.sleep(leaseMs);
  ingesters[1]?.takeOver(0);
}

/** By slot. */
function makeArrivals(options: FleetOptions, random: Random): Arrival[][] {
  const slots: Arrival[][] = Array.from({ length: options.ingesters }, () => []);
  for (let number = 0; number < options.agents; number += 1) {
    const agent = `agent-${number}`;
    const slot = hash(agent) % options.ingesters;
    const lane = { agent, epoch: '20260101t000000z', lane: 'live', database: 'main', table: 'readings' };
    let seq = 0;
    for (let atMs = random() * options.shipEveryMs; atMs < options.shippingMs; atMs += options.shipEveryMs) {
      const parts = { ...lane, seq: (seq += 1) };
      const { least, most } = notifiedAfterMs;
      const notifiedMs = random() < options.lostShare ? Infinity : atMs + least + (most - least) * random();
      slots[slot]?.push({
        object: { key: formatInboxKey(parts), parts, bytes: 5_000 },
        slot,
        atMs,
        notifiedMs,
      });
    }
  }
  return slots;
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const char of text) value = Math.imul(value ^ char.charCodeAt(0), 0x01000193) >>> 0;
  return value;
}

function judge(
  arrivals: readonly Arrival[],
  store: FleetStore,
  ingesters: readonly FleetIngester[],
  endMs: number,
): FleetResult {
  const arrivedMs = new Map(arrivals.map(({ object, atMs }) => [object.key, atMs]));
  const positions = new Map<string, number>();
  const [lags, wrong]: [number[], string[]] = [[], []];
  let logBytes = 0;
  for (const commit of store.log)
    for (const { key, parts } of commit.shipments) {
      const appId = laneAppId(parts);
      const awaited = (positions.get(appId) ?? 0) + 1;
      if (parts.seq !== awaited)
        wrong.push(`${key} in a commit of ingester ${commit.ingester}, not ${awaited}`);
      positions.set(appId, Math.max(parts.seq, awaited - 1));
      logBytes +=
        JSON.stringify({ txn: { appId, version: parts.seq, lastUpdated: 1_790_000_000_000 } }).length + 1;
      lags.push(commit.atMs - (arrivedMs.get(key) ?? 0));
    }
  lags.sort((a, b) => a - b);
  const quantile = (share: number) =>
    lags[Math.min(lags.length - 1, Math.floor(share * lags.length))] ?? Number.NaN;
  const sum = (count: (ingester: FleetIngester) => number) =>
    ingesters.reduce((total, ingester) => total + count(ingester), 0);
  return {
    ...{ shipments: arrivals.length, requests: store.requests, commits: store.log.length, wrong, logBytes },
    rounds: sum(({ counts }) => counts.rounds),
    conflicts: sum(({ counts }) => counts.conflicts),
    gaveUp: sum(({ counts }) => counts.gaveUp),
    lagMs: { median: quantile(0.5), p99: quantile(0.99), highest: lags.at(-1) ?? Number.NaN },
    load: sum(({ counts }) => counts.workMs) / (endMs * ingesters.length),
    missing: arrivals.length - lags.length + wrong.length,
  };
}
