/**
 * Which faults happen when: a pure function of the seed and of what can be done on this machine.
 *
 * 1. Kinds are drawn from a bag that holds each of them once, and is filled again when it is empty; so a short run sees
 *    many kinds. 2. A fault concerns one thing (a process, a disk, the store). Two of them may overlap unless they concern
 *    the same thing: an agent is killed while the store is away, but not while it is frozen. 3. After a fault its thing is
 *    left alone for a moment, so that something is under way again when it is struck next.
 */
import { seededRandom, shuffled, wholeBetween, type Random } from './seeded-random.js';

export const faultKinds = [
  'kill agent',
  'stop agent',
  'freeze agent',
  'kill tsdb',
  'stop tsdb',
  'freeze tsdb',
  'tsdb data_dir deleted',
  'broker restart',
  'freeze broker',
  'network cut',
  'network down',
  'store outage',
  'store full',
  'store slow',
  'store failing',
  'edge disk full',
  'clock step',
  'edge database damaged',
] as const;

export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  /** After the start of the run. */
  readonly atMs: number;
  readonly kind: FaultKind;
  /** Which agent or tsdb; 0 where there is only one. */
  readonly target: number;
  /** How long it takes until it is mended, or until the process that ended starts again. */
  readonly lastsMs: number;
  /** In [0, 1), for whoever causes it: how far a clock goes, which bytes are damaged. */
  readonly chance: number;
}

export interface PlanOptions {
  readonly seed: number;
  readonly runMs: number;
  /** Those that this machine and this store have. */
  readonly kinds: readonly FaultKind[];
  readonly agentCount: number;
  readonly tsdbCount: number;
}

const firstAtMs = 1_000;
const pauseMs = { min: 300, max: 2_700 };
const recoveryMs = 1_500;

type Thing = 'agent' | 'tsdb' | 'broker' | 'network' | 'store' | 'disk' | 'clock';

interface Nature {
  readonly thing: Thing;
  readonly lastsMs: { readonly min: number; readonly max: number };
}

const natures: Readonly<Record<FaultKind, Nature>> = {
  'kill agent': { thing: 'agent', lastsMs: { min: 0, max: 1_500 } },
  'stop agent': { thing: 'agent', lastsMs: { min: 0, max: 1_000 } },
  'freeze agent': { thing: 'agent', lastsMs: { min: 500, max: 5_000 } },
  'kill tsdb': { thing: 'tsdb', lastsMs: { min: 0, max: 1_500 } },
  'stop tsdb': { thing: 'tsdb', lastsMs: { min: 0, max: 1_000 } },
  'freeze tsdb': { thing: 'tsdb', lastsMs: { min: 500, max: 5_000 } },
  'tsdb data_dir deleted': { thing: 'tsdb', lastsMs: { min: 0, max: 1_000 } },
  'broker restart': { thing: 'broker', lastsMs: { min: 0, max: 2_000 } },
  'freeze broker': { thing: 'broker', lastsMs: { min: 500, max: 3_000 } },
  'network cut': { thing: 'network', lastsMs: { min: 0, max: 0 } },
  'network down': { thing: 'network', lastsMs: { min: 500, max: 4_000 } },
  'store outage': { thing: 'store', lastsMs: { min: 500, max: 6_000 } },
  'store full': { thing: 'store', lastsMs: { min: 500, max: 4_000 } },
  'store slow': { thing: 'store', lastsMs: { min: 1_000, max: 6_000 } },
  'store failing': { thing: 'store', lastsMs: { min: 1_000, max: 8_000 } },
  'edge disk full': { thing: 'disk', lastsMs: { min: 500, max: 4_000 } },
  'clock step': { thing: 'clock', lastsMs: { min: 1_000, max: 6_000 } },
  'edge database damaged': { thing: 'agent', lastsMs: { min: 0, max: 500 } },
};

/** In order of time. Same options, same plan. */
export function planFaults(options: PlanOptions): Fault[] {
  const random = seededRandom(options.seed);
  const busyUntilMs = new Map<string, number>();
  const faults: Fault[] = [];
  let bag: FaultKind[] = [];
  for (let atMs = firstAtMs; atMs < options.runMs; atMs += wholeBetween(random, pauseMs.min, pauseMs.max)) {
    if (bag.length === 0) bag = shuffled(random, options.kinds);
    const free = bag
      .map((kind) => ({ kind, target: pickFree(random, kind, options, busyUntilMs, atMs) }))
      .find(({ target }) => target !== undefined);
    if (free?.target === undefined) continue;
    bag = bag.filter((kind) => kind !== free.kind);
    const { thing, lastsMs: range } = natures[free.kind];
    const lastsMs = wholeBetween(random, range.min, range.max);
    busyUntilMs.set(`${thing} ${free.target}`, atMs + lastsMs + recoveryMs);
    faults.push({ atMs, kind: free.kind, target: free.target, lastsMs, chance: random() });
  }
  return faults;
}

/** One of the things of that kind that are left alone at the moment. */
function pickFree(
  random: Random,
  kind: FaultKind,
  options: PlanOptions,
  busyUntilMs: ReadonlyMap<string, number>,
  atMs: number,
): number | undefined {
  const { thing } = natures[kind];
  const targets = Array.from({ length: countOf(thing, options) }, (_, index) => index);
  return shuffled(random, targets).find((target) => (busyUntilMs.get(`${thing} ${target}`) ?? 0) <= atMs);
}

function countOf(thing: Thing, { agentCount, tsdbCount }: PlanOptions): number {
  if (thing === 'tsdb') return tsdbCount;
  return thing === 'broker' || thing === 'store' ? 1 : agentCount;
}

/** `kill agent 2` */
export function nameFault({ kind, target }: Fault): string {
  const { thing } = natures[kind];
  return thing === 'broker' || thing === 'store' ? kind : `${kind} ${target + 1}`;
}

/** `kill agent 12, kill tsdb 11`, in the order of `faultKinds`. */
export function describeKinds(faults: readonly Fault[]): string {
  return faultKinds
    .map((kind) => ({ kind, count: faults.filter((fault) => fault.kind === kind).length }))
    .filter(({ count }) => count > 0)
    .map(({ kind, count }) => `${kind} ${count}`)
    .join(', ');
}
